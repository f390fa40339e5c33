"""What models asked about images: to whom it is to be asked, what was asked, and its fate."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, false, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.orm import Session

from app.lifecycle import QuestionState, Split, UserKind
from app.models import (
    AskedImage,
    AskedQuestion,
    Image,
    Item,
    ProjectImage,
    QuestionReview,
    RoundItem,
    User,
)


def list_images_to_ask(
    session: Session, round_id: int, item_ids: Collection[int]
) -> Sequence[Image]:
    """Returns the train images of some items of a round, in the order of their content, without
    those that other items come first with: of all items of an image, one shard asks about it."""
    first = (
        select(func.min(Item.id))
        .join(RoundItem, RoundItem.item_id == Item.id)
        .where(RoundItem.round_id == round_id, Item.split == Split.TRAIN)
        .group_by(Item.image_sha256)
    )
    return session.scalars(
        select(Image)
        .join(Item, Item.image_sha256 == Image.sha256)
        .where(Item.id.in_(item_ids), Item.id.in_(first))
        .order_by(Image.sha256)
    ).all()


def list_images(session: Session, digests: Collection[str]) -> Sequence[Image]:
    """Returns images by their content, in order."""
    return session.scalars(
        select(Image).where(Image.sha256.in_(digests)).order_by(Image.sha256)
    ).all()


@dataclass(frozen=True)
class KnownQuestions:
    """The known questions about an image, of people and of models.

    standing: of its items, or undecided; former: dropped, or worded otherwise by who kept it, so
    that its item says it. Only standing ones count towards the limit of the image.
    """

    standing: Sequence[str] = ()
    former: Sequence[str] = ()


def list_known_questions(
    session: Session, project_id: int, images: Collection[str]
) -> dict[str, KnownQuestions]:
    """Returns what was asked about some images of a project, by image."""
    standing: dict[str, list[str]] = defaultdict(list)
    former: dict[str, list[str]] = defaultdict(list)
    of_items = select(Item.image_sha256, Item.question, false()).where(
        Item.project_id == project_id, Item.image_sha256.in_(images)
    )
    asked = select(AskedQuestion.image_sha256, AskedQuestion.text, _is_former()).where(
        AskedQuestion.project_id == project_id, AskedQuestion.image_sha256.in_(images)
    )
    for statement in (of_items.order_by(Item.id), asked.order_by(AskedQuestion.id)):
        for image, question, is_over in session.execute(statement):
            (former if is_over else standing)[image].append(question)
    return {image: KnownQuestions(standing[image], former[image]) for image in images}


def _is_former() -> ColumnElement[bool]:
    """Returns the condition that an `AskedQuestion` does not count towards the limit of its image:
    it was dropped, or its item says it in another wording."""
    return or_(
        AskedQuestion.state == QuestionState.DROPPED,
        and_(AskedQuestion.edited_text.is_not(None), AskedQuestion.item_id.is_not(None)),
    )


def insert_image(session: Session, row: Mapping[str, Any]) -> int:
    """Keep that an image was asked about; returns its row's id."""
    return session.execute(insert(AskedImage).values(**row).returning(AskedImage.id)).scalar_one()


def insert_questions(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep questions; those that are there already stay as they are."""
    if rows:
        session.execute(
            pg_insert(AskedQuestion).on_conflict_do_nothing(
                index_elements=["project_id", "image_sha256", "text_key"]
            ),
            rows,
        )


def list_proposed(session: Session, round_id: int) -> Sequence[AskedQuestion]:
    """Returns the questions of a round on which nobody has decided, images in order."""
    return session.scalars(
        select(AskedQuestion)
        .join(AskedImage, AskedImage.id == AskedQuestion.asked_image_id)
        .where(AskedImage.round_id == round_id, AskedQuestion.state == QuestionState.PROPOSED)
        .order_by(AskedQuestion.image_sha256, AskedQuestion.id)
    ).all()


def list_facts(
    session: Session, project_id: int, images: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Returns the facts that came with some item of each image, or with the image itself where it
    came without a question, by image."""
    alone = session.execute(
        select(ProjectImage.image_sha256, ProjectImage.facts).where(
            ProjectImage.project_id == project_id,
            ProjectImage.image_sha256.in_(images),
            ProjectImage.facts.is_not(None),
        )
    )
    found = {image: facts for image, facts in alone if facts is not None}
    rows = session.execute(
        select(Item.image_sha256, Item.facts)
        .ext(distinct_on(Item.image_sha256))
        .where(
            Item.project_id == project_id,
            Item.image_sha256.in_(images),
            Item.facts.is_not(None),
        )
        .order_by(Item.image_sha256, Item.id)
    )
    return found | {image: facts for image, facts in rows if facts is not None}


def insert_item(session: Session, row: Mapping[str, Any]) -> int | None:
    """Keep an item unless one of its name is there; returns its id, None where it is not new."""
    return session.execute(
        pg_insert(Item)
        .values(**row)
        .on_conflict_do_nothing(index_elements=["project_id", "external_id"])
        .returning(Item.id)
    ).scalar_one_or_none()


def decide_questions(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep what was decided on questions, by their ids."""
    if rows:
        session.execute(update(AskedQuestion), rows)


def list_splits(session: Session, asked_image_ids: Collection[int]) -> dict[int, Split]:
    """Returns the split of each image that was asked about, by its row."""
    rows = session.execute(
        select(AskedImage.id, AskedImage.split).where(AskedImage.id.in_(asked_image_ids))
    )
    return {key: value for key, value in rows}  # noqa: C416 - rows are no pairs to mypy


def list_descriptions(session: Session, project_id: int, images: Collection[str]) -> dict[str, str]:
    """Returns the newest description that a model gave of each image, by image."""
    rows = session.execute(
        select(AskedImage.image_sha256, AskedImage.description)
        .ext(distinct_on(AskedImage.image_sha256))
        .where(
            AskedImage.project_id == project_id,
            AskedImage.image_sha256.in_(images),
            AskedImage.description != "",
        )
        .order_by(AskedImage.image_sha256, AskedImage.id.desc())
    )
    return {key: value for key, value in rows}  # noqa: C416 - rows are no pairs to mypy


def count_images(session: Session, round_id: int) -> tuple[int, ...]:
    """Returns of a round how many images were asked about, and what was drawn for them: draws,
    those of what was known, those that asked nothing, and distinct questions over the limit."""
    sums = (AskedImage.n_drawn, AskedImage.n_known, AskedImage.n_empty, AskedImage.n_over)
    found = session.execute(
        select(func.count(), *(func.coalesce(func.sum(one), 0) for one in sums)).where(
            AskedImage.round_id == round_id
        )
    ).one()
    return tuple(int(n) for n in found)


def sum_reviews(session: Session, round_id: int) -> tuple[int, int]:
    """Returns on how many images of a round people decided, and the counted time of it, in
    milliseconds."""
    n, counted_ms = session.execute(
        select(func.count(), func.coalesce(func.sum(QuestionReview.counted_ms), 0))
        .join(AskedImage, AskedImage.id == QuestionReview.asked_image_id)
        .where(AskedImage.round_id == round_id, QuestionReview.submitted_at.is_not(None))
    ).one()
    return n, int(counted_ms)


def has_asked(session: Session, round_id: int) -> bool:
    """Whether a round asked about any image."""
    return session.scalar(select(exists().where(AskedImage.round_id == round_id))) or False


MOST_DECIDED = 1000


def count_decided_since(session: Session, round_id: int, since: datetime) -> int:
    """Returns on how many images of a round people have decided since a time, at most
    `MOST_DECIDED`."""
    decided = (
        select(QuestionReview.id)
        .join(AskedImage, AskedImage.id == QuestionReview.asked_image_id)
        .where(AskedImage.round_id == round_id, QuestionReview.submitted_at > since)
        .limit(MOST_DECIDED)
    )
    return session.scalars(select(func.count()).select_from(decided.subquery())).one()


def list_unmeasured(session: Session, round_id: int) -> Sequence[AskedQuestion]:
    """Returns the questions of a round of which no critic has said whether they have an answer."""
    return session.scalars(
        select(AskedQuestion)
        .join(AskedImage, AskedImage.id == AskedQuestion.asked_image_id)
        .where(AskedImage.round_id == round_id, AskedQuestion.is_grounded.is_(None))
        .order_by(AskedQuestion.image_sha256, AskedQuestion.id)
    ).all()


@dataclass(frozen=True)
class Fate:
    """How many questions there are of a kind and a state, that have an answer in their image, and
    in another one, and of which people say the same."""

    kind: str | None
    state: QuestionState
    is_grounded: bool | None
    is_elsewhere: bool | None
    by_people: bool
    is_edited: bool
    is_about_image: bool | None
    is_worth_asking: bool | None
    n: int


def list_fates(session: Session, round_id: int) -> list[Fate]:
    """Returns how many questions of a round there are of each kind and fate."""
    what = (
        AskedQuestion.kind,
        AskedQuestion.state,
        AskedQuestion.is_grounded,
        AskedQuestion.is_grounded_elsewhere,
        func.coalesce(User.kind == UserKind.PERSON, false()),
        AskedQuestion.edited_text.is_not(None),
        AskedQuestion.is_about_image,
        AskedQuestion.is_worth_asking,
    )
    rows = session.execute(
        select(*what, func.count())
        .join(AskedImage, AskedImage.id == AskedQuestion.asked_image_id)
        .outerjoin(User, User.id == AskedQuestion.decided_by_id)
        .where(AskedImage.round_id == round_id)
        .group_by(*what)
    )
    return [Fate(*row) for row in rows]
