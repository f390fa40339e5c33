"""The rows of a training: what was admitted, what people wrote, the prior, items without a
rationale."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Float,
    Row,
    Select,
    bindparam,
    exists,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.lifecycle import RoundItemState, RoundStatus, Split, UserKind
from app.models import (
    Admission,
    Candidate,
    Item,
    PriorEpisode,
    ProjectImage,
    Round,
    RoundItem,
    Sample,
    TrainingRow,
    VerdictRow,
    WrittenRationale,
)
from app.queries.counted import counted_judgements
from app.queries.rounds.item_ranges import ItemRange, is_in_range, list_ranges
from app.round_settings import PEOPLE

_JUDGED = (
    RoundStatus.TRAINING,
    RoundStatus.EVALUATING,
    RoundStatus.COMPLETED,
)


def list_train_ranges(session: Session, project_id: int) -> list[ItemRange]:
    """Returns the train items of a project in ranges, by their ids."""
    ids = select(Item.id).where(Item.project_id == project_id, Item.split == Split.TRAIN)
    return list_ranges(session, ids)


def list_admitted(
    session: Session, project_id: int, range_: ItemRange, *, drawn_by: str | None = None
) -> Sequence[Row[int, int]]:
    """Returns (item, candidate) admitted in any round so far, of usable items, each once; with
    `drawn_by` those alone that this strategy drew, in whichever round.

    Items that the newest judgements set aside are left out until an admin resolves them.
    """
    return session.execute(
        select(Admission.item_id, Admission.candidate_id)
        .join(Round, Round.id == Admission.round_id)
        .where(
            Round.project_id == project_id,
            is_in_range(Admission.item_id, range_),
            is_usable(Admission.item_id),
            ~_is_set_aside(Admission.item_id),
            *([] if drawn_by is None else [_is_drawn_by(Admission.candidate_id, drawn_by)]),
        )
        .distinct()
        .order_by(Admission.item_id, Admission.candidate_id)
    ).all()


def _is_drawn_by(candidate_id: InstrumentedAttribute[int], strategy: str) -> ColumnElement[bool]:
    return exists().where(Sample.candidate_id == candidate_id, Sample.strategy == strategy)


def list_gold_texts(session: Session, project_id: int, range_: ItemRange) -> list[tuple[int, str]]:
    """Returns (item, gold rationale) of the usable train items of a range."""
    rows = session.execute(
        select(Item.id, Item.gold_rationales)
        .where(
            Item.project_id == project_id,
            Item.split == Split.TRAIN,
            is_in_range(Item.id, range_),
            is_usable(Item.id),
        )
        .order_by(Item.id)
    )
    return [(item_id, gold) for item_id, rationales in rows for gold in rationales]


def list_prior(session: Session, project_id: int, range_: ItemRange) -> Sequence[Row[int, int]]:
    """Returns (item, episode) of the prior, of usable items whose wording is still that of then.

    They are held until the end of the transaction, so that nobody takes them out meanwhile.
    """
    return session.execute(
        select(PriorEpisode.item_id, PriorEpisode.id)
        .join(Item, Item.id == PriorEpisode.item_id)
        .where(
            PriorEpisode.project_id == project_id,
            PriorEpisode.removed_at.is_(None),
            PriorEpisode.item_version == Item.version,
            is_in_range(PriorEpisode.item_id, range_),
            is_usable(PriorEpisode.item_id),
            ~_is_set_aside(PriorEpisode.item_id),
        )
        .order_by(PriorEpisode.item_id, PriorEpisode.id)
        .with_for_update(read=True, key_share=True, of=PriorEpisode)
    ).all()


def list_written(
    session: Session,
    project_id: int,
    closing_round_id: int,
    range_: ItemRange,
    *,
    drawn_by: str | None = None,
) -> Sequence[Row[int, int, int]]:
    """Returns (item, judgement, mended candidate) of the texts that people wrote, items in order;
    with `drawn_by` those alone that mend what this strategy drew.

    Each text once per item, by who wrote it first, and only those that were never judged as a
    candidate. They are of the same items as `list_admitted`, and of judgements that count in
    rounds that admitted by the votes of people, or come to it now. A round that was cancelled
    before it admitted anything is none.
    """
    statement = _written_statement(project_id, closing_round_id)
    if drawn_by is not None:
        statement = statement.where(_is_drawn_by(WrittenRationale.candidate_id, drawn_by))
    return session.execute(statement.where(is_in_range(WrittenRationale.item_id, range_))).all()


def count_written(session: Session, project_id: int, closing_round_id: int) -> int:
    """Returns the number of texts that `list_written` would return for all items."""
    texts = _written_statement(project_id, closing_round_id).subquery()
    return session.execute(select(func.count()).select_from(texts)).scalar_one()


def _written_statement(project_id: int, closing_round_id: int) -> Select[int, int, int]:
    admits = (
        (Round.id == closing_round_id)
        | Round.status.in_(_JUDGED)
        | exists().where(Admission.round_id == Round.id)
    )
    return (
        select(
            WrittenRationale.item_id, WrittenRationale.judgement_id, WrittenRationale.candidate_id
        )
        .join(counted_judgements, counted_judgements.id == WrittenRationale.judgement_id)
        .join(Round, Round.id == counted_judgements.round_id)
        .where(
            Round.project_id == project_id,
            Round.settings["judging"]["judges"].astext == PEOPLE,
            admits,
            counted_judgements.user_kind == UserKind.PERSON,
            WrittenRationale.erased_at.is_(None),
            is_usable(WrittenRationale.item_id),
            ~_is_set_aside(WrittenRationale.item_id),
            ~_is_decided(),
        )
        .ext(distinct_on(WrittenRationale.item_id, WrittenRationale.text_key))
        .order_by(
            WrittenRationale.item_id,
            WrittenRationale.text_key,
            WrittenRationale.judgement_id,
            WrittenRationale.candidate_id,
        )
    )


def is_usable(item_id: InstrumentedAttribute[int]) -> ColumnElement[bool]:
    """Returns the condition that an item is neither excluded nor of a withdrawn image."""
    return exists().where(
        Item.id == item_id,
        Item.excluded_at.is_(None),
        ProjectImage.project_id == Item.project_id,
        ProjectImage.image_sha256 == Item.image_sha256,
        ProjectImage.withdrawn_at.is_(None),
    )


def _is_set_aside(item_id: InstrumentedAttribute[int]) -> ColumnElement[bool]:
    return exists().where(RoundItem.item_id == item_id, RoundItem.state == RoundItemState.SET_ASIDE)


def _is_decided() -> ColumnElement[bool]:
    """Whether the text was judged, or admitted, as a candidate of its item: then that decides.

    Admitted, it is in already; rejected, one person does not outvote the others.
    """
    return exists().where(
        Candidate.item_id == WrittenRationale.item_id,
        Candidate.text_key == WrittenRationale.text_key,
        exists().where(
            VerdictRow.candidate_id == Candidate.id,
            counted_judgements.id == VerdictRow.judgement_id,
        )
        | exists().where(Admission.candidate_id == Candidate.id),
    )


class PlannedRow(NamedTuple):
    """An item with what names its rationale: a candidate, a written text by its judgement and the
    candidate that it mends, or an episode of the prior."""

    item_id: int
    candidate_id: int | None = None
    judgement_id: int | None = None
    mended_id: int | None = None
    episode_id: int | None = None


_INSERT_RATIONALES = text(
    """
    INSERT INTO training_row (run_id, split, item_id, candidate_id, written_judgement_id,
      written_candidate_id, prior_episode_id)
    SELECT :run_id, 'train', item_id, candidate_id, judgement_id, mended_id, episode_id
    FROM unnest(:item_id, :candidate_id, :judgement_id, :mended_id, :episode_id) WITH ORDINALITY
      AS planned (item_id, candidate_id, judgement_id, mended_id, episode_id, place)
    ORDER BY place
    """
).bindparams(
    bindparam("run_id", type_=BigInteger),
    *(bindparam(name, type_=ARRAY(BigInteger)) for name in PlannedRow._fields),
)


def insert_rationale_rows(session: Session, run_id: int, rows: Sequence[PlannedRow]) -> None:
    """Add rows with a rationale to the manifest of a training run, in their order."""
    if not rows:
        return
    columns = zip(PlannedRow._fields, zip(*rows, strict=True), strict=True)
    values = {name: list(column) for name, column in columns}
    session.execute(_INSERT_RATIONALES, {"run_id": run_id, **values})


# --- Items without a rationale ----------------------------------------------------------------

_CHOICE = """
CREATE TEMPORARY TABLE IF NOT EXISTS answer_only_choice
  (item_id bigint NOT NULL, place double precision NOT NULL) ON COMMIT DROP
"""
_ADD_CHOICE = text(
    "INSERT INTO answer_only_choice SELECT * FROM unnest(:item_ids, :places)"
).bindparams(
    bindparam("item_ids", type_=ARRAY(BigInteger)), bindparam("places", type_=ARRAY(Float))
)
_INSERT_CHOSEN = text(
    """
    WITH chosen AS (
      INSERT INTO training_row (run_id, split, item_id)
      SELECT :run_id, 'train', item_id FROM answer_only_choice ORDER BY place, item_id LIMIT :limit
      RETURNING 1
    )
    SELECT count(*) FROM chosen
    """
).bindparams(bindparam("run_id", type_=BigInteger), bindparam("limit", type_=BigInteger))


def begin_choice(session: Session) -> None:
    """Make room for the items to choose from: a table that ends with the transaction."""
    session.execute(text(_CHOICE))
    session.execute(text("DELETE FROM answer_only_choice"))


def list_unexplained(
    session: Session, project_id: int, run_id: int, range_: ItemRange
) -> list[int]:
    """Returns the usable train items of a range for which the manifest has no row yet.

    Those set aside are left out: their answer or their image is in doubt.
    """
    has_row = exists().where(TrainingRow.run_id == run_id, TrainingRow.item_id == Item.id)
    return list(
        session.scalars(
            select(Item.id)
            .where(
                Item.project_id == project_id,
                Item.split == Split.TRAIN,
                is_in_range(Item.id, range_),
                is_usable(Item.id),
                ~_is_set_aside(Item.id),
                ~has_row,
            )
            .order_by(Item.id)
        )
    )


def add_to_choice(session: Session, item_ids: Sequence[int], places: Sequence[float]) -> None:
    """Add items to choose from, each with its place in the order."""
    session.execute(_ADD_CHOICE, {"item_ids": list(item_ids), "places": list(places)})


def insert_chosen(session: Session, run_id: int, limit: int) -> int:
    """Add the first items of the choice to the manifest, without a rationale; returns how many."""
    values = {"run_id": run_id, "limit": limit}
    return int(session.execute(_INSERT_CHOSEN, values).scalar_one())
