"""Releases, and what goes into one. Only rounds whose judging is over are looked at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import String, and_, case, exists, func, literal, or_, select
from sqlalchemy.orm import Session

from app.kit.errors import NotFound
from app.lifecycle import (
    AuthorKind,
    JudgementStatus,
    Purpose,
    RoundItemState,
    RoundStatus,
    UserKind,
)
from app.models import (
    Adapter,
    Admission,
    Candidate,
    Image,
    Item,
    Json,
    Judgement,
    ProjectBase,
    ProjectImage,
    Release,
    ReleaseRow,
    Round,
    RoundItem,
    RoundModel,
    Run,
    Sample,
    User,
    VerdictRow,
    WrittenRationale,
)
from app.opinions import Opinion
from app.queries.judging.opinions import OPINION_COLUMNS, read_opinion
from app.queries.rounds.candidates import usable_items_statement

JUDGED_ROUND = frozenset(RoundStatus) - {
    RoundStatus.DRAFT,
    RoundStatus.GENERATING,
    RoundStatus.JUDGING,
}
ROWS_IN_ONE_QUERY = 2000

T = TypeVar("T")


def try_lock_releases(session: Session, project_id: int) -> bool:
    """Hold the project's releases until the transaction ends; False when another one has them."""
    key = func.hashtextextended(f"illume release {project_id}", 0)
    return bool(session.scalar(select(func.pg_try_advisory_xact_lock(key))))


def get_release(session: Session, release_id: int) -> Release:
    release = session.get(Release, release_id)
    if release is None:
        raise NotFound(f"There is no release {release_id}.")
    return release


def find_release(session: Session, project_id: int, number: int) -> Release | None:
    return session.scalars(
        select(Release).where(Release.project_id == project_id, Release.number == number)
    ).one_or_none()


def find_last_release(session: Session, project_id: int) -> Release | None:
    return session.scalars(
        select(Release)
        .where(Release.project_id == project_id)
        .order_by(Release.number.desc())
        .limit(1)
    ).one_or_none()


def list_releases(session: Session, project_id: int) -> Sequence[Release]:
    """Newest first."""
    return session.scalars(
        select(Release).where(Release.project_id == project_id).order_by(Release.number.desc())
    ).all()


def iterate_payloads(session: Session, release_id: int) -> Iterator[Json]:
    """The manifest in its order, read in pages."""
    last = 0
    while True:
        rows = session.execute(
            select(ReleaseRow.number, ReleaseRow.payload)
            .where(ReleaseRow.release_id == release_id, ReleaseRow.number > last)
            .order_by(ReleaseRow.number)
            .limit(ROWS_IN_ONE_QUERY)
        ).all()
        if not rows:
            return
        for number, payload in rows:
            last = number
            yield payload


# --- What goes in ---------------------------------------------------------------------------


@dataclass(frozen=True)
class RoundSource:
    """A round with its adapters. base_digest: of the files, or the commit, of the base model that
    it used; None where nobody noted it, as in rounds from before bases were pinned."""

    round: Round
    parent_digest: str | None
    new_digest: str | None
    base_digest: str | None


def list_judged_rounds(session: Session, project_id: int) -> list[RoundSource]:
    parent = select(Adapter.id, Adapter.digest, Adapter.base_revision).subquery()
    new = select(Adapter.id, Adapter.digest, Adapter.base_revision).subquery()
    # The pin tells of a round only while it has not been changed since.
    pinned = and_(
        ProjectBase.project_id == Round.project_id,
        ProjectBase.base_model == Round.settings["base_model"].astext,
        ProjectBase.asked_revision == func.coalesce(Round.settings["revision"].astext, ""),
        or_(ProjectBase.changed_at.is_(None), ProjectBase.changed_at < Round.created_at),
    )
    base = func.coalesce(parent.c.base_revision, new.c.base_revision, ProjectBase.digest)
    rows = session.execute(
        select(Round, parent.c.digest, new.c.digest, base)
        .outerjoin(ProjectBase, pinned)
        .outerjoin(RoundModel, RoundModel.round_id == Round.id)
        .outerjoin(parent, parent.c.id == RoundModel.parent_adapter_id)
        .outerjoin(new, new.c.id == RoundModel.new_adapter_id)
        .where(Round.project_id == project_id, Round.status.in_(JUDGED_ROUND))
        .order_by(Round.number, RoundModel.strategy, RoundModel.role)
    )
    return [RoundSource(*row) for row in rows]


@dataclass(frozen=True)
class ItemSource:
    item: Item
    media_type: str
    is_set_aside: bool


def iterate_judged_items(
    session: Session, project_id: int, round_ids: Sequence[int]
) -> Iterator[list[ItemSource]]:
    """Usable items that somebody judged in these rounds, by external id, in pages.

    The order is that of the bytes, so that it does not hang on the database's locale.
    """
    key = Item.external_id.collate("C")
    set_aside = exists().where(
        RoundItem.item_id == Item.id, RoundItem.state == RoundItemState.SET_ASIDE
    )
    judged = (
        exists()
        .where(
            RoundItem.item_id == Item.id,
            RoundItem.round_id.in_(round_ids),
            RoundItem.purpose == Purpose.TRAINING,
            Judgement.round_item_id == RoundItem.id,
            Judgement.status == JudgementStatus.SUBMITTED,
        )
        .correlate(Item)
    )
    last = ""
    while True:
        rows = session.execute(
            select(Item, Image.media_type, set_aside)
            .join(Image, Image.sha256 == Item.image_sha256)
            .where(
                Item.id.in_(usable_items_statement(project_id)),
                judged,
                key > literal(last, String).collate("C"),
            )
            .order_by(key)
            .limit(ROWS_IN_ONE_QUERY)
        )
        page = [ItemSource(*row) for row in rows]
        if not page:
            return
        last = page[-1].item.external_id
        yield page


@dataclass(frozen=True)
class JudgementSource:
    opinion: Opinion
    id: int
    item_id: int
    round_number: int
    user_id: int
    user_kind: UserKind
    user_name: str
    n_shown: int
    guidelines_version: int
    active_ms: int


def list_judgements(
    session: Session, item_ids: Sequence[int], round_ids: Sequence[int]
) -> list[JudgementSource]:
    """Submitted ones, round by round, in a fixed order."""
    rows = session.execute(
        select(
            Judgement.id,
            RoundItem.item_id,
            Round.number,
            Judgement.user_id,
            Judgement.user_kind,
            User.name,
            func.cardinality(Judgement.shown_order),
            Judgement.guidelines_version,
            Judgement.active_ms,
            *OPINION_COLUMNS,
        )
        .join(RoundItem, RoundItem.id == Judgement.round_item_id)
        .join(Round, Round.id == Judgement.round_id)
        .join(User, User.id == Judgement.user_id)
        .where(
            RoundItem.item_id.in_(item_ids),
            RoundItem.round_id.in_(round_ids),
            RoundItem.purpose == Purpose.TRAINING,
            Judgement.status == JudgementStatus.SUBMITTED,
        )
        .order_by(RoundItem.item_id, Round.number, Judgement.user_id)
    )
    n = len(OPINION_COLUMNS)
    return [JudgementSource(read_opinion(row[-n:]), *row[:-n]) for row in rows]


@dataclass(frozen=True)
class VerdictSource:
    judgement_id: int
    candidate_id: int
    fits: bool
    position: int
    faults: list[str]


def list_verdicts(session: Session, judgement_ids: Sequence[int]) -> list[VerdictSource]:
    found: list[VerdictSource] = []
    for block in _blocks(judgement_ids):
        rows = session.execute(
            select(
                VerdictRow.judgement_id,
                VerdictRow.candidate_id,
                VerdictRow.fits,
                VerdictRow.position,
                VerdictRow.faults,
            ).where(VerdictRow.judgement_id.in_(block))
        )
        found += [VerdictSource(*row) for row in rows]
    return found


@dataclass(frozen=True)
class WrittenSource:
    judgement_id: int
    item_id: int
    candidate_text: str
    text: str


def list_written_rationales(session: Session, judgement_ids: Sequence[int]) -> list[WrittenSource]:
    """Candidates as annotators corrected them, in a fixed order."""
    found: list[WrittenSource] = []
    for block in _blocks(judgement_ids):
        rows = session.execute(
            select(
                WrittenRationale.judgement_id,
                WrittenRationale.item_id,
                Candidate.text,
                WrittenRationale.text,
            )
            .join(Candidate, Candidate.id == WrittenRationale.candidate_id)
            .where(WrittenRationale.judgement_id.in_(block), WrittenRationale.erased_at.is_(None))
            .order_by(WrittenRationale.judgement_id, WrittenRationale.candidate_id)
        )
        found += [WrittenSource(*row) for row in rows]
    return found


@dataclass(frozen=True)
class CandidateSource:
    id: int
    item_id: int
    text: str
    author_kind: AuthorKind
    author_id: int | None
    key_version: int


def list_candidates(session: Session, candidate_ids: Sequence[int]) -> list[CandidateSource]:
    found: list[CandidateSource] = []
    for block in _blocks(candidate_ids):
        rows = session.execute(
            select(
                Candidate.id,
                Candidate.item_id,
                Candidate.text,
                Candidate.author_kind,
                Candidate.author_id,
                Candidate.key_version,
            ).where(Candidate.id.in_(block))
        )
        found += [CandidateSource(*row) for row in rows]
    return found


@dataclass(frozen=True)
class AdmissionSource:
    candidate_id: int
    round_number: int
    policy: str
    judge_kind: UserKind
    n_fits: int
    n_votes: int


def list_admissions(
    session: Session, item_ids: Sequence[int], round_ids: Sequence[int]
) -> list[AdmissionSource]:
    rows = session.execute(
        select(
            Admission.candidate_id,
            Round.number,
            Admission.policy,
            Admission.judge_kind,
            Admission.n_fits,
            Admission.n_votes,
        )
        .join(Round, Round.id == Admission.round_id)
        .where(Admission.item_id.in_(item_ids), Admission.round_id.in_(round_ids))
        .order_by(Admission.candidate_id, Round.number)
    )
    return [AdmissionSource(*row) for row in rows]


@dataclass(frozen=True)
class DrawSource:
    candidate_id: int
    round_number: int
    base_model: str
    base_revision: str | None
    adapter_digest: str | None
    strategy: str
    prompt: str
    temperature: float
    number: int
    seed: int
    log_probability: float | None
    is_cut: bool | None


def list_draws(
    session: Session, candidate_ids: Sequence[int], round_ids: Sequence[int]
) -> list[DrawSource]:
    """Every draw of these candidates in these rounds, in a fixed order."""
    has_adapter = Sample.adapter_id.is_not(None)
    found: list[DrawSource] = []
    for block in _blocks(candidate_ids):
        rows = session.execute(
            select(
                Sample.candidate_id,
                Round.number,
                case((has_adapter, Adapter.base_model), else_=Round.settings["base_model"].astext),
                case((has_adapter, Adapter.base_revision), else_=Round.settings["revision"].astext),
                Adapter.digest,
                Sample.strategy,
                Sample.prompt,
                Sample.temperature,
                Sample.number,
                Sample.seed,
                Sample.log_probability,
                Sample.is_cut,
            )
            .join(Run, Run.id == Sample.run_id)
            .join(Round, Round.id == Run.round_id)
            .outerjoin(Adapter, Adapter.id == Sample.adapter_id)
            .where(Sample.candidate_id.in_(block), Run.round_id.in_(round_ids))
            .order_by(
                Sample.candidate_id,
                Round.number,
                Sample.strategy,
                Sample.prompt.collate("C"),
                Sample.temperature,
                Sample.number,
                Sample.run_id,
            )
        )
        found += [DrawSource(*row) for row in rows]
    return found


def list_released_rows(session: Session, release_id: int) -> list[tuple[int, Json]]:
    """(item id, the fields that a tombstone would keep) of every row and tombstone of a release."""
    fields = ("row_id", "kind", "item", "former_kind", "reason", "last_release", "author")
    rows = session.execute(
        select(ReleaseRow.item_id, *(ReleaseRow.payload[name].astext for name in fields))
        .where(ReleaseRow.release_id == release_id)
        .order_by(ReleaseRow.number)
    ).all()
    return [(row[0], dict(zip(fields, row[1:], strict=True))) for row in rows]


@dataclass(frozen=True)
class ItemFate:
    """Why an item may be out of a release."""

    is_excluded: bool
    is_withdrawn: bool
    is_set_aside: bool


def find_item_fates(session: Session, item_ids: Sequence[int]) -> dict[int, ItemFate]:
    set_aside = exists().where(
        RoundItem.item_id == Item.id, RoundItem.state == RoundItemState.SET_ASIDE
    )
    found: dict[int, ItemFate] = {}
    for block in _blocks(item_ids):
        rows = session.execute(
            select(
                Item.id,
                Item.excluded_at.is_not(None),
                ProjectImage.withdrawn_at.is_not(None),
                set_aside,
            )
            .join(
                ProjectImage,
                (ProjectImage.project_id == Item.project_id)
                & (ProjectImage.image_sha256 == Item.image_sha256),
            )
            .where(Item.id.in_(block))
        )
        found.update((row[0], ItemFate(*row[1:])) for row in rows)
    return found


def _blocks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), ROWS_IN_ONE_QUERY):
        yield values[start : start + ROWS_IN_ONE_QUERY]
