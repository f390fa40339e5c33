"""The draws behind the candidates that people see, and what was measured of where they looked."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import ColumnElement, Select, exists, func, or_, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session

from app.models import Image, Item, Json, OcclusionMap, RoundCandidate, Run, Sample
from app.run_results import MapTally


@dataclass(frozen=True, slots=True)
class TracedDraw:
    """A draw that came to a candidate, with its trace, and in it what was measured of its looks."""

    sample_id: int
    candidate_id: int
    trace: Json


def count_draws_by_strategy(
    session: Session, round_id: int, candidate_ids: Sequence[int]
) -> dict[int, list[tuple[str, int]]]:
    """Returns, by candidate, the strategies that drew it in a round, each with how often, the most
    first. Those of a check item or an anchor were drawn in another round, and are counted there."""
    rows = session.execute(
        select(Sample.candidate_id, Sample.strategy, func.count().label("n"))
        .join(Run, Run.id == Sample.run_id)
        .where(
            Sample.candidate_id.in_(candidate_ids),
            or_(Run.round_id == round_id, _is_of_another(round_id)),
        )
        .group_by(Sample.candidate_id, Sample.strategy)
        .order_by(Sample.candidate_id, func.count().desc(), Sample.strategy)
    )
    found: dict[int, list[tuple[str, int]]] = {}
    for candidate_id, strategy, n in rows:
        if candidate_id is not None:
            found.setdefault(candidate_id, []).append((strategy, n))
    return found


def _is_of_another(round_id: int) -> ColumnElement[bool]:
    return exists().where(
        RoundCandidate.round_id == round_id,
        RoundCandidate.candidate_id == Sample.candidate_id,
        RoundCandidate.chosen_by.in_(("check", "anchor")),
    )


def list_traced_draws(
    session: Session, round_id: int, candidate_ids: Sequence[int], *, strategy: str
) -> list[TracedDraw]:
    """Returns the draws of a round that came to these candidates by a strategy, the most probable
    first; those of which no trace was kept are left out.

    The candidates of a check item or an anchor were drawn in another round, and show their traces
    like others.
    """
    rows = session.execute(
        select(Sample.id, Sample.candidate_id, Sample.trace, maps_of_draw())
        .join(Run, Run.id == Sample.run_id)
        .where(
            Sample.candidate_id.in_(candidate_ids),
            or_(Run.round_id == round_id, _is_of_another(round_id)),
            Sample.strategy == strategy,
            Sample.trace.is_not(None),
        )
        .order_by(Sample.log_probability.desc().nulls_last(), Sample.id)
    )
    return [
        TracedDraw(sample_id, candidate_id, measured(trace, maps))
        for sample_id, candidate_id, trace, maps in rows
        if candidate_id is not None and trace is not None  # so the statement has it
    ]


# --- Maps of where they looked -----------------------------------------------------------------

DRAWN_HERE = ("draws", "random")
"""Why a round shows a candidate that it drew itself; others were measured where they were drawn."""


@dataclass(frozen=True, slots=True)
class ItemToMap:
    """An item with the draws of it whose looks people are shown: they were all made for one
    question, so one map is that of all."""

    item: Item
    image: Image
    sample_ids: tuple[int, ...]


def list_items_to_map(
    session: Session, round_id: int, *, strategy: str, item_ids: Sequence[int] | None = None
) -> list[ItemToMap]:
    """Returns the items of a round whose draws of a strategy are shown with looks that were not
    measured: of each shown candidate the most probable draw. item_ids: of these alone, if given.
    """
    statement = _shown_draws(round_id, strategy)
    if item_ids is not None:
        statement = statement.where(RoundCandidate.item_id.in_(item_ids))
    shown = statement.subquery()
    is_measured = exists().where(OcclusionMap.sample_id == shown.c.id)
    rows = session.execute(
        select(Item, Image, Sample.id)
        .join(Sample, Sample.item_id == Item.id)
        .join(shown, shown.c.id == Sample.id)
        .join(Image, Image.sha256 == Item.image_sha256)
        .where(~is_measured)
        .order_by(Item.id, Sample.id)
    )
    return [
        ItemToMap(item, image, tuple(row[2] for row in group))
        for (item, image), group in groupby(rows, key=lambda row: (row[0], row[1]))
    ]


def insert_maps(session: Session, rows: list[dict[str, object]]) -> None:
    """Store maps; one that is there stays as it is, since another worker measured the same."""
    if rows:
        session.execute(insert(OcclusionMap).on_conflict_do_nothing(), rows)


def count_maps(session: Session, round_id: int) -> MapTally | None:
    """Returns how many looks of a round were measured, and what it took; None where none was."""
    n_looks, seconds = session.execute(
        select(func.count(), func.coalesce(func.sum(OcclusionMap.seconds), 0.0))
        .join(Sample, Sample.id == OcclusionMap.sample_id)
        .join(Run, Run.id == Sample.run_id)
        .where(Run.round_id == round_id)
    ).one()
    return MapTally(looks=n_looks, seconds=seconds) if n_looks else None


def maps_of_draw() -> ColumnElement[Json | None]:
    """Returns the maps of a `Sample` by the number of the look, for a statement that reads draws;
    null where none was measured."""
    described = func.jsonb_build_object(
        *("probability", OcclusionMap.probability),
        *("falls", OcclusionMap.falls),
        *("without", OcclusionMap.without),
    )
    return (
        select(func.jsonb_object_agg(OcclusionMap.turn, described))
        .where(OcclusionMap.sample_id == Sample.id)
        .scalar_subquery()
    )


def measured(trace: Json, maps: Json | None) -> Json:
    """Returns a trace with what was measured of its looks, as its strategy reads it."""
    if not maps:
        return trace
    looks = [
        {**look, "occlusion": found["falls"], "probability": found["probability"]}
        if (found := maps.get(str(number)))
        else look
        for number, look in enumerate(trace["looks"], start=1)
    ]
    return {**trace, "looks": looks, "without": next(iter(maps.values()))["without"]}


def _shown_draws(round_id: int, strategy: str) -> Select[int]:
    return (
        select(Sample.id)
        .join(Run, Run.id == Sample.run_id)
        .join(RoundCandidate, RoundCandidate.candidate_id == Sample.candidate_id)
        .where(
            RoundCandidate.round_id == round_id,
            RoundCandidate.chosen_by.in_(DRAWN_HERE),
            Run.round_id == round_id,
            Sample.strategy == strategy,
            Sample.trace.is_not(None),
        )
        .ext(distinct_on(Sample.candidate_id))
        .order_by(Sample.candidate_id, Sample.log_probability.desc().nulls_last(), Sample.id)
    )
