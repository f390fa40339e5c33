"""Marks and corrected observations of the judgements of a release."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import CorrectedObservation, Json, Sample, TurnMark
from app.queries.blocks import blocks
from app.queries.judging.draws import maps_of_draw, measured
from app.strategies.monologue import MonologueTrace, Turn
from app.strategies.perception import Look, PerceptionTrace


@dataclass(frozen=True)
class TurnSource:
    """Something that a judgement says of a turn, or look, of a draw that led to a candidate. `of`
    names what is marked; None where it is a correction, whose text is then the value.
    """

    judgement_id: int
    candidate_id: int
    number: int
    turn: Turn | Look
    of: str | None
    value: str


def list_turns(session: Session, judgement_ids: Sequence[int]) -> list[TurnSource]:
    """Returns what these judgements say of turns, in a fixed order: marks, and then corrections."""
    found: list[TurnSource] = []
    for model, of, value in (
        (TurnMark, TurnMark.of, TurnMark.value),
        (CorrectedObservation, None, CorrectedObservation.text),
    ):
        said = model.__table__.c
        for block in blocks(judgement_ids):
            rows = session.execute(
                select(said.judgement_id, Sample.candidate_id, said.turn, Sample.trace)
                .add_columns(maps_of_draw(), value, *([of] if of is not None else []))
                .select_from(model)
                .join(Sample, Sample.id == said.sample_id)
                .where(said.judgement_id.in_(block), value != "")
                .order_by(*model.__table__.primary_key)
            )
            for judgement_id, candidate_id, number, trace, maps, text, *marked in rows:
                turn = _turn_at(measured(trace, maps), number)
                what = marked[0] if marked else None
                found.append(TurnSource(judgement_id, candidate_id, number, turn, what, text))
    return found


def _turn_at(trace: Json, number: int) -> Turn | Look:
    if "looks" in trace:
        return PerceptionTrace.model_validate(trace).looks[number - 1]
    return MonologueTrace.model_validate(trace).turns[number - 1]
