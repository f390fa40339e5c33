"""Two opinions on one item: the stored one, and that of a page that was refused."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.models import Judgement, Round
from app.opinions import Opinion
from app.queries.judging import shown_item
from app.queries.judging.leases import HELD
from app.services.judging.opinions import opinion_of
from app.services.judging.ways import (
    find_ways,
    list_strategies,
)
from app.web.pages.judging.words import (
    opinion_lines,
)


@dataclass(frozen=True)
class Conflicting:
    """Two opinions on one item: the stored one, and the one on a page that was refused."""

    judgement_id: int
    round_id: int
    version: int
    message: str
    question: str
    stored_lines: tuple[str, ...]
    here: Opinion
    here_lines: tuple[str, ...]
    can_overwrite: bool


def build_conflict(
    session: Session,
    judgement: Judgement,
    here: Opinion,
    *,
    round_: Round,
    message: str,
    can_overwrite: bool,
) -> Conflicting:
    item, _ = shown_item.get_item(session, judgement.round_item_id)
    texts = shown_item.get_candidate_texts(session, judgement.shown_order)
    stored = opinion_of(judgement)
    ways = {}
    if stored.speaks_of_turns or here.speaks_of_turns:
        ways = find_ways(session, round_, judgement)
    of_draws = {
        way.sample_id: texts[candidate_id] for candidate_id, own in ways.items() for way in own
    }
    marks = [mark for strategy in list_strategies(round_) for mark in strategy.marks]

    def lines(opinion: Opinion) -> tuple[str, ...]:
        return opinion_lines(opinion, texts, of_draws=of_draws, marks=marks)

    return Conflicting(
        judgement_id=judgement.id,
        round_id=judgement.round_id,
        version=judgement.version,
        message=message,
        question=item.question,
        stored_lines=lines(stored),
        here=here,
        here_lines=lines(here),
        # A submitted opinion has to be taken back before another one can replace it.
        can_overwrite=can_overwrite and judgement.status in HELD,
    )
