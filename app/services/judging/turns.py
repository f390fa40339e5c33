"""What people say of the turns of draws: checked, and written apart when it is submitted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput
from app.kit.sentences import Sentence
from app.kit.texts import collapse
from app.models import Judgement, Round
from app.opinions import LEAST_SIDE, MAX_CORRECTION, Box, Opinion
from app.queries.judging import submissions as queries
from app.queries.judging.draws import list_traced_draws
from app.services.judging.ways import list_strategies, may_see_traces
from app.strategies import Strategy


def check_turns(session: Session, round_: Round, judgement: Judgement, opinion: Opinion) -> Opinion:
    """Returns an opinion with the corrections to keep: none that say what was observed.

    Raises InvalidInput for what is said of something else than a turn of a draw that led to a
    rationale of the item, or of one that its author has not opened yet, for an unknown mark or
    value, for a correction that is too long, and for a box that is too small or lies beside the
    picture.
    """
    if not opinion.speaks_of_turns:
        return opinion
    if not may_see_traces(round_, judgement):
        raise InvalidInput(
            Sentence("How a rationale came about can be marked once it is judged and opened.")
        )
    strategies = list_strategies(round_)
    observed = _find_observed(session, round_, judgement, strategies)
    for draw, turn, of, value in opinion.each_mark():
        _look_up(observed, draw, turn)
        known = {mark.of: mark.values for mark in observed[draw].strategy.marks}
        if value not in known.get(of, {}):
            raise InvalidInput(
                Sentence(
                    "There is no mark “%(of)s: %(value)s”. Reload the page.", of=of, value=value
                )
            )
    corrections: dict[int, dict[int, str]] = {}
    for draw, turn, text in opinion.each_correction():
        seen = _look_up(observed, draw, turn)
        if observed[draw].strategy.draws_boxes:
            raise InvalidInput(
                Sentence("Looks of this round saw no words that could be corrected.")
            )
        if collapse(text) != collapse(seen):
            corrections.setdefault(draw, {})[turn] = _check_length(text)
    for draw, turn, box in opinion.each_box():
        _look_up(observed, draw, turn)
        _check_box(box, observed[draw].strategy)
    return opinion.model_copy(update={"corrections": corrections})


def write_turns(session: Session, judgement: Judgement, opinion: Opinion) -> None:
    """Write the marks, corrections and boxes of a judgement that was just submitted, if any."""
    queries.insert_turns(
        session,
        marks=[
            {
                "judgement_id": judgement.id,
                "sample_id": draw,
                "turn": turn,
                "of": of,
                "value": value,
            }
            for draw, turn, of, value in opinion.each_mark()
        ],
        corrections=[
            {"judgement_id": judgement.id, "sample_id": draw, "turn": turn, "text": text}
            for draw, turn, text in opinion.each_correction()
        ],
        boxes=[
            {"judgement_id": judgement.id, "sample_id": draw, "turn": turn, **box.model_dump()}
            for draw, turn, box in opinion.each_box()
        ],
    )


@dataclass(frozen=True)
class _Draw:
    """A draw that can be spoken of: whose it is, and what was observed in each of its turns."""

    strategy: Strategy
    observed: tuple[str, ...]


Observed = Mapping[int, _Draw]
"""By the number of the draw."""


def _find_observed(
    session: Session, round_: Round, judgement: Judgement, strategies: Sequence[Strategy]
) -> Observed:
    return {
        draw.sample_id: _Draw(strategy, tuple(strategy.trace.model_validate(draw.trace).observed))
        for strategy in strategies
        if strategy.trace is not None
        for draw in list_traced_draws(
            session, round_.id, judgement.shown_order, strategy=strategy.name
        )
    }


def _look_up(observed: Observed, draw: int, turn: int) -> str:
    turns = observed[draw].observed if draw in observed else ()
    if not 1 <= turn <= len(turns):
        raise InvalidInput(Sentence("A mark does not belong to this item. Reload the page."))
    return turns[turn - 1]


def _check_length(text: str) -> str:
    if len(text) > MAX_CORRECTION:
        raise InvalidInput(
            Sentence("What you see instead is longer than %(n)s characters.", n=MAX_CORRECTION)
        )
    return text


def _check_box(box: Box, strategy: Strategy) -> None:
    if not strategy.draws_boxes:
        raise InvalidInput(Sentence("Looks of this round have no place on the picture to draw."))
    if not box.lies_within:
        raise InvalidInput(
            Sentence(
                "A box lies on the picture: its edges are between 0 and 100 %%, the left one "
                "before the right one, and the top one above the bottom one."
            )
        )
    if box.least_side < LEAST_SIDE:
        raise InvalidInput(
            Sentence(
                "A box is at least %(n)s %% of the picture wide and high.",
                n=round(100 * LEAST_SIDE),
            )
        )
