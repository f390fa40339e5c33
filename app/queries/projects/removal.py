"""Counts everything that belongs to a project, and deletes it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, exists, func, select
from sqlalchemy.orm import Session, aliased

from app.lifecycle import CLOSED_ROUND, LIVE_RUN, JudgementStatus
from app.models import (
    Adapter,
    Admission,
    AdmissionDecision,
    AnchorItem,
    CandidateTally,
    CheckItem,
    Comparison,
    ComparisonCandidate,
    ComparisonItem,
    GuidelinesPicture,
    Image,
    Item,
    Judgement,
    PracticeAttempt,
    PracticeItem,
    Prediction,
    PriorEpisode,
    Project,
    ProjectImage,
    Release,
    Round,
    RoundCandidate,
    RoundItem,
    RoundModel,
    Run,
    RunShard,
    Sample,
    Score,
    TrainingBox,
    TrainingRow,
    UntaughtLook,
    VerdictRow,
    WrittenRationale,
)


@dataclass(frozen=True)
class ProjectContent:
    """Counts of everything that a deletion of the project deletes."""

    n_items: int
    n_images: int
    n_judgements: int
    n_adapters: int
    release_numbers: tuple[int, ...]


def lock_project(session: Session, project_id: int) -> Project:
    return session.scalars(select(Project).where(Project.id == project_id).with_for_update()).one()


def is_busy(session: Session, project_id: int) -> bool:
    """Whether a round is open or a run is under way."""
    return bool(
        session.scalar(
            select(
                exists().where(Round.project_id == project_id, Round.status.not_in(CLOSED_ROUND))
                | exists().where(Run.project_id == project_id, Run.status.in_(LIVE_RUN))
            )
        )
    )


def is_built_upon(session: Session, project_id: int) -> bool:
    """Whether an adapter of another project continues one of this project."""
    child = aliased(Adapter)
    return bool(
        session.scalar(
            select(
                exists()
                .where(Adapter.project_id == project_id, child.parent_id == Adapter.id)
                .where(child.project_id != project_id)
            )
        )
    )


def count_content(session: Session, project_id: int) -> ProjectContent:
    def count(model: type[Item | ProjectImage | Adapter]) -> int:
        statement = select(func.count()).select_from(model).where(model.project_id == project_id)
        return session.execute(statement).scalar_one()

    judgements = (
        select(func.count())
        .select_from(Judgement)
        .join(Round, Round.id == Judgement.round_id)
        .where(Round.project_id == project_id, Judgement.status == JudgementStatus.SUBMITTED)
    )
    numbers = select(Release.number).where(Release.project_id == project_id)
    return ProjectContent(
        n_items=count(Item),
        n_images=count(ProjectImage),
        n_judgements=session.execute(judgements).scalar_one(),
        n_adapters=count(Adapter),
        release_numbers=tuple(session.scalars(numbers.order_by(Release.number))),
    )


def list_deletable(session: Session) -> Sequence[int]:
    """Returns the projects that wait for a worker to delete them."""
    return session.scalars(
        select(Project.id).where(Project.deletion_requested_at.is_not(None)).order_by(Project.id)
    ).all()


def delete_project(session: Session, project_id: int) -> None:
    """Delete all rows of a project, leaves first.

    History (events, releases, candidates, revisions) is append-only: its rows go by themselves,
    with the parent that they belong to.
    """
    rounds = select(Round.id).where(Round.project_id == project_id).scalar_subquery()
    runs = select(Run.id).where(Run.project_id == project_id).scalar_subquery()
    places = select(RoundItem.id).where(RoundItem.project_id == project_id).scalar_subquery()
    judgements = select(Judgement.id).where(Judgement.round_id.in_(rounds)).scalar_subquery()
    comparisons = select(Comparison.id).where(Comparison.project_id == project_id).scalar_subquery()
    for statement in (
        delete(TrainingBox).where(TrainingBox.run_id.in_(runs)),
        delete(UntaughtLook).where(UntaughtLook.run_id.in_(runs)),
        delete(TrainingRow).where(TrainingRow.run_id.in_(runs)),
        delete(WrittenRationale).where(WrittenRationale.judgement_id.in_(judgements)),
        delete(VerdictRow).where(VerdictRow.round_id.in_(rounds)),
        delete(Admission).where(Admission.round_id.in_(rounds)),
        delete(CandidateTally).where(CandidateTally.round_id.in_(rounds)),
        delete(AdmissionDecision).where(AdmissionDecision.round_id.in_(rounds)),
        delete(Judgement).where(Judgement.round_item_id.in_(places)),
        delete(RoundCandidate).where(RoundCandidate.round_id.in_(rounds)),
        delete(AnchorItem).where(AnchorItem.project_id == project_id),
        delete(ComparisonCandidate).where(ComparisonCandidate.comparison_id.in_(comparisons)),
        delete(ComparisonItem).where(ComparisonItem.comparison_id.in_(comparisons)),
        delete(Comparison).where(Comparison.project_id == project_id),
        delete(RoundItem).where(RoundItem.project_id == project_id),
        delete(Sample).where(Sample.run_id.in_(runs)),
        delete(Prediction).where(Prediction.run_id.in_(runs)),
        delete(Score).where(Score.run_id.in_(runs)),
        delete(RoundModel).where(RoundModel.round_id.in_(rounds)),
        delete(Adapter).where(Adapter.project_id == project_id),
        delete(RunShard).where(RunShard.run_id.in_(runs)),
        delete(Run).where(Run.project_id == project_id),
        delete(CheckItem).where(CheckItem.project_id == project_id),
        delete(PracticeAttempt).where(PracticeAttempt.project_id == project_id),
        delete(PracticeItem).where(PracticeItem.project_id == project_id),
        delete(PriorEpisode).where(PriorEpisode.project_id == project_id),
        delete(Item).where(Item.project_id == project_id),
        delete(ProjectImage).where(ProjectImage.project_id == project_id),
        delete(Project).where(Project.id == project_id),
    ):
        session.execute(statement, execution_options={"synchronize_session": False})


def list_image_digests(session: Session, project_id: int) -> Sequence[str]:
    """Returns the digests of the images of a project's items and of its guidelines."""
    of_items = select(ProjectImage.image_sha256).where(ProjectImage.project_id == project_id)
    of_guidelines = select(GuidelinesPicture.image_sha256).where(
        GuidelinesPicture.project_id == project_id
    )
    return session.scalars(of_items.union(of_guidelines)).all()


def list_adapter_digests(session: Session, project_id: int) -> Sequence[str]:
    return session.scalars(select(Adapter.digest).where(Adapter.project_id == project_id)).all()


def delete_unused_images(session: Session, digests: Sequence[str]) -> list[str]:
    """Delete the rows of those images that no project has any more; returns which they were.

    One that somebody else holds stays: an import is about to use it. Who wants to store a deleted
    one again waits until the transaction ends, so that its file can be removed before that.
    """
    used = exists().where(ProjectImage.image_sha256 == Image.sha256) | exists().where(
        GuidelinesPicture.image_sha256 == Image.sha256
    )
    is_unused = Image.sha256.in_(digests) & ~used
    held = session.scalars(
        select(Image.sha256).where(is_unused).with_for_update(skip_locked=True)
    ).all()
    # Asked again: an import may have ended between the look at its rows and the hold.
    statement = delete(Image).where(Image.sha256.in_(held), ~used).returning(Image.sha256)
    return list(session.scalars(statement, execution_options={"synchronize_session": False}))


def list_unused_adapters(session: Session, digests: Sequence[str]) -> list[str]:
    kept = set(session.scalars(select(Adapter.digest).where(Adapter.digest.in_(digests))))
    return sorted(set(digests) - kept)
