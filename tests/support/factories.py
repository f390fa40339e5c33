"""Rows for tests: plain functions with defaults. Each flushes, so that ids are there."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from itertools import count

from PIL import Image as PillowImage
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.lifecycle import (
    AuthorKind,
    Job,
    Purpose,
    Role,
    RoundItemState,
    RoundStatus,
    RunStatus,
    Split,
    UserKind,
)
from app.models import (
    Candidate,
    CheckItem,
    Image,
    Item,
    Membership,
    Project,
    ProjectImage,
    Round,
    RoundCandidate,
    RoundItem,
    Run,
    RunShard,
    Sample,
    User,
)
from app.round_settings import LoopSettings
from app.same_text import text_key
from app.services.projects.guidelines import keep_version

_numbers = count(1)


def make_user(
    session: Session,
    *,
    name: str | None = None,
    kind: UserKind = UserKind.PERSON,
    is_admin: bool = False,
    password_hash: str | None = None,
) -> User:
    user = User(
        name=name or f"person-{next(_numbers)}",
        kind=kind,
        is_admin=is_admin,
        password_hash=password_hash,
    )
    session.add(user)
    session.flush()
    return user


def make_project(
    session: Session, *, name: str = "Scenes", settings: LoopSettings | None = None
) -> Project:
    number = next(_numbers)
    project = Project(
        name=name,
        slug=f"project-{number}",
        settings=(settings or LoopSettings()).model_dump(mode="json"),
        pseudonym_secret=f"secret-{number}",
        guidelines="Pick every rationale that fits.",
    )
    session.add(project)
    session.flush()
    keep_version(session, project, actor=None)
    session.flush()
    return project


def make_membership(
    session: Session, project: Project, user: User, role: Role = Role.ANNOTATOR
) -> Membership:
    membership = Membership(project_id=project.id, user_id=user.id, role=role)
    session.add(membership)
    session.flush()
    return membership


def png_bytes(color: tuple[int, int, int], size: tuple[int, int] = (64, 48)) -> bytes:
    buffer = io.BytesIO()
    PillowImage.new("RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()


def make_image(
    session: Session,
    *,
    content: bytes | None = None,
    media_type: str = "image/png",
    size: tuple[int, int] = (64, 48),
) -> Image:
    """An image row; the bytes are not put into the store (see app.kit.storage for that)."""
    number = next(_numbers)
    content = content or png_bytes((number % 256, number // 256 % 256, 7))
    digest = hashlib.sha256(content).hexdigest()
    image = session.get(Image, digest)
    if image is None:
        image = Image(
            sha256=digest,
            media_type=media_type,
            width=size[0],
            height=size[1],
            n_bytes=len(content),
        )
        session.add(image)
        session.flush()
    return image


def make_item(
    session: Session,
    project: Project,
    *,
    image: Image | None = None,
    split: Split = Split.TRAIN,
    external_id: str | None = None,
    question: str = "what color is the ball?",
    answer: str = "red",
    gold_rationales: Sequence[str] = ("the ball is red",),
    facts: dict[str, object] | None = None,
) -> Item:
    image = image or make_image(session)
    if session.get(ProjectImage, (project.id, image.sha256)) is None:
        session.add(ProjectImage(project_id=project.id, image_sha256=image.sha256, split=split))
        session.flush()
    item = Item(
        project_id=project.id,
        image_sha256=image.sha256,
        split=split,
        external_id=external_id or f"item-{next(_numbers)}",
        question=question,
        answer=answer,
        gold_rationales=list(gold_rationales),
        facts=facts,
    )
    session.add(item)
    session.flush()
    return item


def make_round(
    session: Session,
    project: Project,
    *,
    number: int = 1,
    status: RoundStatus = RoundStatus.JUDGING,
    settings: LoopSettings | None = None,
) -> Round:
    round_ = Round(
        project_id=project.id,
        number=number,
        status=status,
        settings=(settings or LoopSettings()).model_dump(mode="json"),
        order_key=f"order-{next(_numbers)}",
    )
    session.add(round_)
    session.flush()
    return round_


def make_candidate(
    session: Session, item: Item, text: str, author_kind: AuthorKind = AuthorKind.MODEL
) -> Candidate:
    candidate = Candidate(
        item_id=item.id,
        text=text,
        text_key=text_key(text),
        author_kind=author_kind,
    )
    session.add(candidate)
    session.flush()
    return candidate


def make_round_item(
    session: Session,
    round_: Round,
    item: Item,
    *,
    texts: Sequence[str] = ("it is red", "the ball is red", "there is a ball"),
    slots: int = 1,
    max_slots: int | None = None,
    purpose: Purpose = Purpose.TRAINING,
    state: RoundItemState = RoundItemState.OPEN,
) -> RoundItem:
    """An item in a round, with one shown candidate per text."""
    check_item = CheckItem(project_id=item.project_id, item_id=item.id, max_uses=slots)
    if purpose is Purpose.CHECK:
        session.add(check_item)
        session.flush()
    round_item = RoundItem(
        round_id=round_.id,
        project_id=round_.project_id,
        item_id=item.id,
        split=item.split,
        purpose=purpose,
        state=state,
        check_item_id=check_item.id,
        slots=slots,
        max_slots=max_slots or slots,
        taken_weight=float(round_.settings["judging"]["order"] == "fewest_first"),
        random_key=next(_numbers) * 0.618 % 1,
    )
    session.add(round_item)
    session.flush()
    for rank, text in enumerate(texts, start=1):
        candidate = make_candidate(session, item, text)
        session.add(
            RoundCandidate(
                round_id=round_.id,
                candidate_id=candidate.id,
                item_id=item.id,
                is_shown=True,
                rank=rank,
                n_draws=0 if purpose is Purpose.CHECK else 1,
                chosen_by="check" if purpose is Purpose.CHECK else "draws",
            )
        )
    session.flush()
    return round_item


def make_draws(
    session: Session, round_: Round, item: Item, marks: Mapping[str, Sequence[bool | None]]
) -> Run:
    """A run of a round with draws of texts of an item. marks: whether each was cut."""
    project = session.get_one(Project, round_.project_id)
    run = make_run(session, project, Job.GENERATE, round_=round_, status=RunStatus.RUNNING)
    shard = RunShard(run_id=run.id, number=1, item_ids=[item.id], attempt=1)
    session.add(shard)
    session.flush()
    ids = dict(
        session.execute(
            select(Candidate.text, Candidate.id).where(Candidate.item_id == item.id)
        ).all()
    )
    for text, cut in marks.items():
        for mark in cut:
            session.add(
                Sample(
                    run_id=run.id,
                    shard_id=shard.id,
                    shard_attempt=shard.attempt,
                    item_id=item.id,
                    candidate_id=ids[text],
                    strategy="direct",
                    prompt=", seeing that",
                    temperature=0.3,
                    number=next(_numbers),
                    seed=1,
                    is_cut=mark,
                )
            )
    session.flush()
    return run


def make_run(
    session: Session,
    project: Project,
    job: Job,
    *,
    round_: Round | None = None,
    status: RunStatus = RunStatus.QUEUED,
) -> Run:
    run = Run(project_id=project.id, round_id=round_.id if round_ else None, job=job, status=status)
    session.add(run)
    session.flush()
    return run
