"""The item of a judgement as the judging page shows it, in one look-up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, Boolean, bindparam, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from app.models import Candidate, Image, Item, Judgement, RoundItem
from app.queries.judging.own_work import OWN_FIGURES, ROUND_ID, USER_ID, OwnFigures
from app.queries.judging.queue import UPCOMING
from app.queries.rounds.candidates import cut_candidates_statement


def get_candidate_texts(session: Session, candidate_ids: Sequence[int]) -> dict[int, str]:
    rows = session.execute(
        select(Candidate.id, Candidate.text).where(Candidate.id.in_(candidate_ids))
    )
    return {row.id: row.text for row in rows}


def get_item(session: Session, round_item_id: int) -> tuple[Item, Image]:
    """Returns the item behind a place in a round, with the size of its image."""
    row = session.execute(
        select(Item, Image)
        .join(RoundItem, RoundItem.item_id == Item.id)
        .join(Image, Image.sha256 == Item.image_sha256)
        .where(RoundItem.id == round_item_id)
    ).one()
    return row[0], row[1]


@dataclass(frozen=True, slots=True)
class ShownItem:
    """An item as its annotator sees it, with the figures and links around it."""

    question: str
    answer: str
    image_sha256: str
    image_width: int
    image_height: int
    texts: dict[int, str]
    """Of the candidates that this person is shown."""
    cut: frozenset[int]
    """Ids of the candidates whose text ended at the limit of tokens."""
    own: OwnFigures
    upcoming: list[tuple[str, int]]
    """Images that will probably be next, with their widths."""


_CANDIDATE_IDS = bindparam("candidate_ids", type_=ARRAY(BigInteger))

# All in one look-up: what a request costs is mostly what its statements cost to be sent and read.
_SHOWN_ITEM = (
    select(
        Item.question,
        Item.answer,
        Image.sha256,
        Image.width,
        Image.height,
        select(func.jsonb_object_agg(Candidate.id, Candidate.text))
        .where(Candidate.id == func.any(_CANDIDATE_IDS))
        .scalar_subquery(),
        func.array(cut_candidates_statement(_CANDIDATE_IDS).scalar_subquery()),
        *OWN_FIGURES,
        UPCOMING.bindparams(
            ROUND_ID,
            USER_ID,
            bindparam("looks_ahead", type_=Boolean),
            bindparam("max_per_annotator", type_=BigInteger),
        )
        .columns(upcoming=JSONB)
        .scalar_subquery(),
    )
    .select_from(RoundItem)
    .join(Item, Item.id == RoundItem.item_id)
    .join(Image, Image.sha256 == Item.image_sha256)
    .where(RoundItem.id == bindparam("round_item_id", type_=BigInteger))
)


def get_shown_item(
    session: Session,
    judgement: Judgement,
    *,
    since: datetime,
    looks_ahead: bool,
    max_per_annotator: int | None,
) -> ShownItem:
    """Look up the item of a judgement as its author sees it.

    `since` is when their day began, `looks_ahead` whether the images that come next are wanted, and
    `max_per_annotator` how many items of the round one person may judge.
    """
    question, answer, sha256, width, height, found, cut, *own, upcoming = session.execute(
        _SHOWN_ITEM,
        {
            "candidate_ids": judgement.shown_order,
            "round_item_id": judgement.round_item_id,
            "round_id": judgement.round_id,
            "user_id": judgement.user_id,
            "since": since,
            "looks_ahead": looks_ahead,
            "max_per_annotator": max_per_annotator,
        },
    ).one()
    return ShownItem(
        question=question,
        answer=answer,
        image_sha256=sha256,
        image_width=width,
        image_height=height,
        texts={int(candidate_id): text for candidate_id, text in (found or {}).items()},
        cut=frozenset(cut),
        own=OwnFigures(*own),
        upcoming=[(image, image_width) for image, image_width in upcoming or ()],
    )
