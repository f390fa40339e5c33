"""Where models looked for the texts of a release, and the boxes of people who saw it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import DrawnBox, Round, Run, Sample
from app.opinions import Box
from app.queries.blocks import blocks
from app.queries.judging.draws import maps_of_draw, measured
from app.strategies.perception import PERCEPTION, Look, PerceptionTrace


@dataclass(frozen=True)
class LooksSource:
    """Where the model looked for a candidate: of its most probable draw, of the measured ones where
    there are any. n_ways: in how many ways, by where they looked, the draws came to it."""

    candidate_id: int
    round_number: int
    trace: PerceptionTrace
    n_ways: int


def list_looks(
    session: Session, candidate_ids: Sequence[int], round_ids: Sequence[int]
) -> list[LooksSource]:
    """Returns the looks of each of these candidates in these rounds; candidates for which no model
    asked where to look are left out."""
    found: list[LooksSource] = []
    maps = maps_of_draw()
    for block in blocks(candidate_ids):
        rows = session.execute(
            select(Sample.candidate_id, Round.number, Sample.trace, maps)
            .join(Run, Run.id == Sample.run_id)
            .join(Round, Round.id == Run.round_id)
            .where(
                Sample.candidate_id.in_(block),
                Run.round_id.in_(round_ids),
                Sample.strategy == PERCEPTION.name,
                Sample.trace.is_not(None),
            )
            .order_by(
                Sample.candidate_id,
                maps.is_(None),
                Sample.log_probability.desc().nulls_last(),
                Round.number,
                Sample.id,
            )
        )
        for candidate_id, group in groupby(rows, key=lambda row: row[0]):
            drawn = [
                (number, PerceptionTrace.model_validate(measured(trace or {}, maps_found)))
                for _, number, trace, maps_found in group
            ]
            ways = {trace.way for _, trace in drawn}
            found.append(LooksSource(candidate_id, *drawn[0], len(ways)))
    return found


@dataclass(frozen=True)
class BoxSource:
    """A box that a judgement draws for a look of a draw that led to a candidate."""

    judgement_id: int
    candidate_id: int
    number: int
    look: Look
    box: Box


def list_boxes(session: Session, judgement_ids: Sequence[int]) -> list[BoxSource]:
    """Returns the boxes of these judgements, in a fixed order."""
    found: list[BoxSource] = []
    for block in blocks(judgement_ids):
        rows = session.execute(
            select(DrawnBox, Sample.candidate_id, Sample.trace, maps_of_draw())
            .join(Sample, Sample.id == DrawnBox.sample_id)
            .where(DrawnBox.judgement_id.in_(block))
            .order_by(*DrawnBox.__table__.primary_key)
        )
        for row, candidate_id, trace, maps in rows:
            if candidate_id is None or trace is None:
                continue  # a trigger refuses boxes of such draws
            look = PerceptionTrace.model_validate(measured(trace, maps)).looks[row.turn - 1]
            box = Box(left=row.left, top=row.top, right=row.right, bottom=row.bottom)
            found.append(BoxSource(row.judgement_id, candidate_id, row.turn, look, box))
    return found
