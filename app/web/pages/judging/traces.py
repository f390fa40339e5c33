"""How the candidates of a judged item came about, in a round of several strategies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.lifecycle import JUDGEABLE_ROUND
from app.models import Judgement, Round
from app.opinions import Box, Opinion
from app.queries.judging.draws import count_draws_by_strategy
from app.services.judging.ways import Way
from app.strategies import Mark
from app.web.pages.judging.branches import ShownBranch
from app.web.pages.judging.looks import ShownLook, show_looks


@dataclass(frozen=True)
class OpenedWay:
    """The way of one strategy to a candidate, with what its author says of it so far."""

    way: Way
    marks: Mapping[str, Mark]
    """By what they are of."""
    marked: Mapping[int, Mapping[str, str]]
    corrected: Mapping[int, str]
    boxes: Mapping[int, Box]
    branches: Mapping[int, ShownBranch]
    """By turn: how the draw continued from those that are corrected."""

    @property
    def looks(self) -> tuple[ShownLook, ...]:
        """Returns where the draw looked, where that has a place on the picture."""
        return show_looks(self.way)


@dataclass(frozen=True)
class OpenedCandidate:
    """A candidate that was judged, with who drew it."""

    candidate_id: int
    place: int
    text: str
    is_picked: bool
    drawn_by: Sequence[tuple[str, int]]
    """Strategies and their draws, the most first."""
    ways: Sequence[OpenedWay]


@dataclass(frozen=True)
class Opened:
    """All candidates of an item, in the order in which they were judged."""

    candidates: Sequence[OpenedCandidate]
    can_mark: bool
    """Whether anything can be said of the ways: the round is still judged, and there are some."""


def build_opened(  # noqa: PLR0917 - what the page of the item has looked up already
    session: Session,
    round_: Round,
    judgement: Judgement,
    texts: Mapping[int, str],
    opinion: Opinion,
    ways: Mapping[int, Sequence[Way]],
    branches: Mapping[int, Mapping[int, ShownBranch]],
) -> Opened:
    """Returns how the candidates of a judgement came about."""
    drawn = count_draws_by_strategy(session, round_.id, judgement.shown_order)
    candidates = [
        OpenedCandidate(
            candidate_id,
            place,
            texts[candidate_id],
            candidate_id in opinion.picked,
            drawn.get(candidate_id, ()),
            [_with_opinion(way, opinion, branches) for way in ways.get(candidate_id, ())],
        )
        for place, candidate_id in enumerate(judgement.shown_order, start=1)
    ]
    has_ways = any(candidate.ways for candidate in candidates)
    return Opened(candidates, has_ways and round_.status in JUDGEABLE_ROUND)


def _with_opinion(
    way: Way, opinion: Opinion, branches: Mapping[int, Mapping[int, ShownBranch]]
) -> OpenedWay:
    return OpenedWay(
        way,
        {mark.of: mark for mark in way.strategy.marks},
        opinion.marks.get(way.sample_id, {}),
        opinion.corrections.get(way.sample_id, {}),
        opinion.boxes.get(way.sample_id, {}),
        branches.get(way.sample_id, {}),
    )
