"""The pages of check items: one frozen dataclass each, built from query results."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.lifecycle import JUDGEABLE_ROUND, Split
from app.models import CheckItem, Image, Item, Project, User
from app.queries.quality import checks as queries
from app.queries.quality.checks import CheckRow, SaidOfCandidate
from app.queries.quality.withdrawing import (
    AdmittedVote,
    list_admitted_votes,
    list_votes_of,
    list_withdrawn,
)
from app.queries.rounds.rounds import find_last_round
from app.round_settings import LoopSettings
from app.services.quality.checks import (
    MAX_CANDIDATES,
    CheckedPerson,
    ExpectedVerdict,
    list_checked_people,
)
from app.services.quality.withdrawing import count_resting_on
from app.web.assets.image_urls import image_url

N_SPARE_ROWS = 2
"""Empty rows in the form, for texts that an admin adds."""
N_SHOWN_ADMITTED = 50


@dataclass(frozen=True)
class CheckRules:
    """What the newest round says of check items: their share, the lowest score, and whether they
    are mixed in at this moment."""

    share: float
    floor: float | None
    is_judged: bool


@dataclass(frozen=True)
class ChecksPage:
    """The check items of a project, and the people who judged some."""

    rules: CheckRules
    people: list[CheckedPerson]
    rows: list[CheckRow]
    n_serving: int
    typed_id: str
    error: str
    agreed_error: str


@dataclass(frozen=True)
class NewCheckPage:
    """The form of a check item."""

    external_id: str
    question: str
    answer: str
    is_train: bool
    image_url: str
    image_width: int
    image_height: int
    rows: tuple[ExpectedVerdict, ...]
    uses: str
    error: str
    errors: tuple[str, ...]


@dataclass(frozen=True)
class CheckPage:
    """A check item with what people said of it."""

    check_item: CheckItem
    item: Item
    image_url: str
    image_width: int
    image_height: int
    said: list[SaidOfCandidate]


@dataclass(frozen=True)
class PersonPage:
    """A person's score, and what rests on their answers."""

    person: CheckedPerson
    rules: CheckRules
    round_number: int | None
    n_open: int
    """Their answers that count in the round that is being judged."""
    n_withdrawn: int
    n_admitted: int
    n_alone: int
    admitted: list[AdmittedVote]


def build_checks(
    session: Session,
    project: Project,
    *,
    typed_id: str = "",
    error: str = "",
    agreed_error: str = "",
) -> ChecksPage:
    rows = queries.list_rows(session, project.id)
    return ChecksPage(
        rules=rules_of(session, project),
        people=list_checked_people(session, project),
        rows=rows,
        n_serving=sum(row.check_item.retired_at is None for row in rows),
        typed_id=typed_id,
        error=error,
        agreed_error=agreed_error,
    )


def build_new_check(
    session: Session,
    project: Project,
    item: Item,
    expected: tuple[ExpectedVerdict, ...],
    *,
    uses: str,
    error: str = "",
    errors: tuple[str, ...] = (),
) -> NewCheckPage:
    image = session.get_one(Image, item.image_sha256)
    n_spare = min(N_SPARE_ROWS, MAX_CANDIDATES - len(expected))
    return NewCheckPage(
        external_id=item.external_id,
        question=item.question,
        answer=item.answer,
        is_train=item.split is Split.TRAIN,
        image_url=image_url(project.slug, image.sha256),
        image_width=image.width,
        image_height=image.height,
        rows=(*expected, *(ExpectedVerdict("", None) for _ in range(n_spare))),
        uses=uses,
        error=error,
        errors=errors,
    )


def build_check(session: Session, project: Project, check_item: CheckItem) -> CheckPage:
    item = session.get_one(Item, check_item.item_id)
    image = session.get_one(Image, item.image_sha256)
    return CheckPage(
        check_item=check_item,
        item=item,
        image_url=image_url(project.slug, image.sha256),
        image_width=image.width,
        image_height=image.height,
        said=queries.list_said(session, check_item.id),
    )


def build_person(session: Session, project: Project, user: User) -> PersonPage:
    (person,) = (one for one in list_checked_people(session, project) if one.user.id == user.id)
    rules = rules_of(session, project)
    round_ = find_last_round(session, project.id)
    is_open = round_ is not None and rules.is_judged
    n_admitted, n_alone = count_resting_on(session, project, user)
    return PersonPage(
        person=person,
        rules=rules,
        round_number=round_.number if round_ and is_open else None,
        n_open=len(list_votes_of(session, round_.id, user.id)) if round_ and is_open else 0,
        n_withdrawn=len(list_withdrawn(session, round_.id, user.id)) if round_ and is_open else 0,
        n_admitted=n_admitted,
        n_alone=n_alone,
        admitted=list_admitted_votes(session, project.id, user.id, limit=N_SHOWN_ADMITTED),
    )


def rules_of(session: Session, project: Project) -> CheckRules:
    """Returns the settings of the newest round; before the first, those of the project."""
    round_ = find_last_round(session, project.id)
    stored = round_.settings if round_ else project.settings
    judging = LoopSettings.model_validate(stored).judging
    return CheckRules(
        share=judging.check_share,
        floor=judging.check_floor,
        is_judged=round_ is not None and round_.status in JUDGEABLE_ROUND,
    )
