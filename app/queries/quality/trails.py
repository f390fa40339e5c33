"""How the items of a project fared in its rounds: written down from rows, and read as counts."""

from collections.abc import Sequence

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    and_,
    case,
    func,
    literal,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by, array, distinct_on, insert
from sqlalchemy.orm import Session

from app.item_trails import Fared
from app.lifecycle import Job, RoundItemState, RunStatus, Split
from app.models import Admission, Item, ItemTrail, Prediction, Round, Run
from app.queries.counted import counted_items

MEASURED_IN_BASELINE = 0
"""Stands for the number of a round: what the base model said before any."""


def renew_trails(session: Session, project_id: int) -> None:
    """Write down anew how the items of a project fared in each of its rounds."""
    found = union_all(_of_train_items(project_id), _of_measured_items(project_id)).subquery()
    is_same = (
        select(ItemTrail.item_id)
        .where(
            ItemTrail.item_id == found.c.item_id,
            ItemTrail.trail == found.c.trail,
            ItemTrail.split == found.c.split,
        )
        .exists()
    )
    statement = insert(ItemTrail).from_select(
        ["item_id", "project_id", "split", "trail"],
        select(found.c.item_id, literal(project_id), found.c.split, found.c.trail).where(~is_same),
    )
    new = statement.excluded
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[ItemTrail.item_id],
            set_={"trail": new.trail, "split": new.split},
        )
    )


def _of_train_items(project_id: int) -> Select[int, Split, str]:
    first = (
        select(Admission.item_id, func.min(Round.number).label("number"))
        .join(Round, Round.id == Admission.round_id)
        .where(Round.project_id == project_id)
        .group_by(Admission.item_id)
        .cte("first_admission")
    )
    state = counted_items.state
    fared = case(
        (state.is_(None), Fared.ABSENT),
        (state == RoundItemState.SET_ASIDE, Fared.SET_ASIDE),
        (state == RoundItemState.RESTING, Fared.RESTING),
        (first.c.number == Round.number, Fared.IMPROVED),
        (first.c.number < Round.number, Fared.COVERED),
        (state == RoundItemState.DONE, Fared.UNCOVERED),
        else_=Fared.OPEN,
    )
    return (
        select(Item.id.label("item_id"), Item.split.label("split"), _joined(fared))
        .select_from(Item)
        .join(Round, Round.project_id == Item.project_id)
        .outerjoin(
            counted_items,
            and_(counted_items.round_id == Round.id, counted_items.item_id == Item.id),
        )
        .outerjoin(first, first.c.item_id == Item.id)
        .where(Item.project_id == project_id, Item.split == Split.TRAIN)
        .group_by(Item.id, Item.split)
    )


def _of_measured_items(project_id: int) -> Select[int, Split, str]:
    """Of those that some round measured."""
    measured = _measured(project_id)
    before = func.lag(measured.c.fits).over(
        partition_by=measured.c.item_id, order_by=measured.c.number
    )
    compared = select(measured, before.label("before")).cte("compared")
    in_round = and_(compared.c.number == Round.number, compared.c.item_id == Item.id)
    fared = case(
        (compared.c.fits.is_(None), Fared.ABSENT),
        (and_(compared.c.fits, compared.c.before.is_(False)), Fared.IMPROVED),
        (compared.c.fits, Fared.COVERED),
        (compared.c.before.is_(True), Fared.REGRESSED),
        else_=Fared.UNCOVERED,
    )
    of_rounds = select(compared.c.item_id).where(compared.c.number != MEASURED_IN_BASELINE)
    return (
        select(Item.id.label("item_id"), Item.split.label("split"), _joined(fared))
        .select_from(Item)
        .join(Round, Round.project_id == Item.project_id)
        .outerjoin(compared, in_round)
        .where(
            Item.project_id == project_id,
            Item.split == Split.VALIDATION,
            Item.id.in_(of_rounds),
        )
        .group_by(Item.id, Item.split)
    )


def _measured(project_id: int) -> CTE:
    """Whether the rationale of each validation item fits, by round: as the newest run says, and of
    several strategies where that of one of them does."""
    number = func.coalesce(
        case((Run.job == Job.BASELINE, MEASURED_IN_BASELINE), else_=Round.number),
        MEASURED_IN_BASELINE,
    )
    return (
        select(Prediction.item_id, number.label("number"), Prediction.fits)
        .ext(distinct_on(Prediction.item_id, number))
        .join(Run, Run.id == Prediction.run_id)
        .outerjoin(Round, Round.id == Run.round_id)
        .where(
            Run.project_id == project_id,
            Run.job.in_([Job.EVALUATE, Job.BASELINE]),
            Run.status.in_([RunStatus.SUCCEEDED, RunStatus.FAILED]),
            Prediction.split == Split.VALIDATION,
            Prediction.fits.is_not(None),
        )
        .order_by(
            Prediction.item_id,
            number,
            case((Run.job == Job.EVALUATE, Prediction.fits)).desc().nulls_last(),
            Run.id.desc(),
        )
        .cte("measured")
    )


def _joined(fared: ColumnElement[str]) -> ColumnElement[str]:
    return func.string_agg(fared, aggregate_order_by(literal(""), Round.number)).label("trail")


# --- Reading --------------------------------------------------------------------------------


def count_trails(session: Session, project_id: int) -> dict[Split, dict[str, int]]:
    """Returns how many items fared alike, by split and trail."""
    rows = session.execute(
        select(ItemTrail.split, ItemTrail.trail, func.count())
        .where(ItemTrail.project_id == project_id)
        .group_by(ItemTrail.split, ItemTrail.trail)
    )
    found: dict[Split, dict[str, int]] = {}
    for split, trail, n in rows:
        found.setdefault(split, {})[trail] = n
    return found


def find_trail(session: Session, item_id: int) -> str:
    """Returns the trail of an item; nothing before one was written down."""
    return session.scalar(select(ItemTrail.trail).where(ItemTrail.item_id == item_id)) or ""


def list_by_trail(
    session: Session,
    project_id: int,
    split: Split,
    trails: Sequence[str],
    *,
    offset: int,
    limit: int,
) -> list[tuple[Item, str]]:
    """Returns items with one of these trails, and theirs: in the order of the trails."""
    if not trails:
        return []
    wanted = (
        func.unnest(array(trails))
        .table_valued("trail", with_ordinality="number")
        .render_derived(name="wanted")
    )
    own = (
        select(ItemTrail.item_id, ItemTrail.trail, wanted.c.number)
        .join(wanted, wanted.c.trail == ItemTrail.trail)
        .where(ItemTrail.project_id == project_id, ItemTrail.split == split)
        .order_by(wanted.c.number, ItemTrail.item_id)
        .offset(offset)
        .limit(limit)
        .subquery()
    )
    rows = session.execute(
        select(Item, own.c.trail)
        .join(own, own.c.item_id == Item.id)
        .order_by(own.c.number, Item.id)
    )
    return [(item, trail) for item, trail in rows]
