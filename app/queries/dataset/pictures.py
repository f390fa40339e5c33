"""Images that nobody has asked about: they came without a question, and no item shows them."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session

from app.lifecycle import QuestionState, Split
from app.models import AskedQuestion, Item, ProjectImage

PAGE_SIZE = 50


@dataclass(frozen=True)
class AloneRow:
    """An image without any item: how many questions the model asked about it, and how many of them
    nobody has decided on."""

    image_sha256: str
    name: str
    split: Split
    n_asked: int
    n_waiting: int


def is_alone(project_id: int) -> tuple[ColumnElement[bool], ...]:
    """Returns the conditions on a ProjectImage by which nobody has asked about it; one that was
    withdrawn is none."""
    has_item = exists().where(
        Item.project_id == ProjectImage.project_id,
        Item.image_sha256 == ProjectImage.image_sha256,
    )
    return (
        ProjectImage.project_id == project_id,
        ProjectImage.image_name.is_not(None),
        ProjectImage.withdrawn_at.is_(None),
        ~has_item,
    )


def count_alone(session: Session, project_id: int) -> dict[Split, int]:
    """Returns how many images nobody has asked about, by split; splits without any are left out."""
    rows = session.execute(
        select(ProjectImage.split, func.count())
        .where(*is_alone(project_id))
        .group_by(ProjectImage.split)
    )
    found = dict(rows.all())
    return {split: found[split] for split in Split if split in found}


def list_alone(session: Session, project_id: int, *, after: str, limit: int) -> list[AloneRow]:
    """Returns images that nobody has asked about, in the order of their content from behind
    `after` on."""
    about = (
        AskedQuestion.project_id == ProjectImage.project_id,
        AskedQuestion.image_sha256 == ProjectImage.image_sha256,
    )
    waits = AskedQuestion.state == QuestionState.PROPOSED
    rows = session.execute(
        select(
            ProjectImage.image_sha256,
            ProjectImage.image_name,
            ProjectImage.split,
            select(func.count()).where(*about).scalar_subquery(),
            select(func.count()).where(*about, waits).scalar_subquery(),
        )
        .where(*is_alone(project_id), ProjectImage.image_sha256 > after)
        .order_by(ProjectImage.image_sha256)
        .limit(limit)
    )
    return [AloneRow(image, name or "", *more) for image, name, *more in rows]


def list_to_ask(session: Session, project_id: int, *, limit: int) -> list[str]:
    """Returns the train images that nobody has asked about, by their content, without those of
    which so many questions are undecided, or were kept, that the limit of an image is reached."""
    images = select(ProjectImage.image_sha256).where(*_may_be_asked(project_id, limit))
    return list(session.scalars(images.order_by(ProjectImage.image_sha256)))


def count_to_ask(session: Session, project_id: int, *, limit: int) -> int:
    """Returns how many images `list_to_ask` would return."""
    n_images = select(func.count()).select_from(ProjectImage)
    return session.execute(n_images.where(*_may_be_asked(project_id, limit))).scalar_one()


def _may_be_asked(project_id: int, limit: int) -> tuple[ColumnElement[bool], ...]:
    n_known = (
        select(func.count())
        .where(
            AskedQuestion.project_id == ProjectImage.project_id,
            AskedQuestion.image_sha256 == ProjectImage.image_sha256,
            AskedQuestion.state != QuestionState.DROPPED,
        )
        .scalar_subquery()
    )
    return *is_alone(project_id), ProjectImage.split == Split.TRAIN, n_known < limit
