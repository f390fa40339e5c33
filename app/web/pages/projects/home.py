"""The start page."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.kit.sentences import Sentence
from app.lifecycle import CLOSED_ROUND, JUDGEABLE_ROUND, PracticeMode, Role, RoundStatus
from app.models import User
from app.queries.judging.home import HomeRow, count_own_since, list_home_rows
from app.queries.judging.practice import PracticeOffer, list_offers


@dataclass(frozen=True)
class ProjectCard:
    name: str
    slug: str
    description: str
    can_manage: bool
    round_id: int | None
    round_number: int | None
    round_status: RoundStatus | None
    can_judge: bool
    note: str
    n_items: int
    n_judged: int
    n_mine: int
    n_mine_today: int
    questions_wait: bool
    practice: PracticeOffer | None
    """Where it is not passed yet."""

    @property
    def must_practise(self) -> bool:
        return (
            self.practice is not None
            and self.practice.mode is PracticeMode.REQUIRED
            and not self.practice.has_judged
        )


@dataclass(frozen=True)
class Home:
    user_name: str
    is_admin: bool
    n_today: int
    n_open: int
    cards: tuple[ProjectCard, ...]


def build_home(session: Session, user: User, *, today: datetime) -> Home:
    rows = list_home_rows(session, user.id, sees_all=user.is_admin, since=today)
    offers = list_offers(session, user.id, [row.slug for row in rows])
    cards = tuple(_card(row, user, offers.get(row.slug)) for row in rows)
    return Home(
        user_name=user.name,
        is_admin=user.is_admin,
        n_today=count_own_since(session, user.id, today),
        n_open=sum(card.can_judge for card in cards),
        cards=cards,
    )


def _card(row: HomeRow, user: User, offer: PracticeOffer | None) -> ProjectCard:
    return ProjectCard(
        name=row.name,
        slug=row.slug,
        description=row.description,
        can_manage=user.is_admin or row.role is Role.ADMIN,
        round_id=row.round_id,
        round_number=row.round_number,
        round_status=row.round_status,
        can_judge=row.round_status in JUDGEABLE_ROUND,
        note=_note(row.round_status),
        n_items=row.n_items,
        n_judged=row.n_judged,
        n_mine=row.n_mine,
        n_mine_today=row.n_mine_since,
        questions_wait=row.questions_wait,
        practice=None if offer is None or offer.has_passed else offer,
    )


def _note(status: RoundStatus | None) -> str:
    """Returns what an annotator can expect of a project that has nothing to judge now."""
    if status is None or status is RoundStatus.DRAFT:
        return Sentence("No round has started yet.")
    if status in CLOSED_ROUND:
        return Sentence("No round is open right now.")
    if status in JUDGEABLE_ROUND:
        return ""
    return Sentence(
        "The model is learning from what was picked. The next round brings new rationales."
    )
