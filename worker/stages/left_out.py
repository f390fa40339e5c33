"""A training without the rows that cannot be used: each costs itself, and is named by its item."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.lifecycle import FailureKind
from app.models import Item
from app.run_results import LeftOutItem
from app.services.runs.failures import are_too_many, too_many_for_training
from worker.ml.errors import ImageError
from worker.ml.training.readable import Unusable
from worker.ml.types import Example

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Owner:
    """The item that a row belongs to."""

    item_id: int
    external_id: str
    is_excluded: bool


@dataclass(frozen=True)
class TrainingInputs:
    """What a training reads of the database; `items` are those of `rows`, one for one. n_bytes: how
    long each image was when it was imported."""

    rows: list[Example]
    items: list[Owner]
    validation: list[Example]
    validation_items: list[Owner]
    n_bytes: Mapping[Path, int]
    parent: tuple[int, str] | None
    state_name: str
    is_written: list[bool]
    is_of_prior: list[bool]
    """Of each row, whether a person wrote its rationale, and whether it is an imported episode."""
    left_out: tuple[LeftOutItem, ...] = ()
    first: tuple[Example, ...] = ()
    """What a fresh adapter learns before the rows, whoever they are of."""
    n_boxes: int = 0
    """Boxes of people in the manifest."""
    n_untaught_looks: int = 0
    n_corrected_looks: int = 0
    """Looks of which the observation is not learned, and those of them with a correction that is.
    """
    n_useless_questions: int = 0
    """Questions that are not learned."""

    @property
    def everything(self) -> list[Example]:
        """The training rows and then the validation rows."""
        return [*self.rows, *self.validation]

    def list_changed(self) -> list[int]:
        """Returns the positions in `everything` of the rows whose image is gone from the store, or
        is not as long as it was when it was imported. Reads no image."""
        changed = {path for path, n_bytes in self.n_bytes.items() if _length(path) != n_bytes}
        return [place for place, row in enumerate(self.everything) if row.image in changed]


def _length(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def owner_of(item: Item) -> Owner:
    return Owner(item.id, item.external_id, item.excluded_at is not None)


def leave_out(data: TrainingInputs, unusable: Mapping[int, Unusable]) -> TrainingInputs:
    """Returns the inputs without these rows, counted over the training rows and then the validation
    rows.

    Raises AppError where too many items would be lost. Excluded ones do not count: who excluded
    them knows.
    """
    if not unusable:
        return data
    owners = [*data.items, *data.validation_items]
    left_out = _by_item(owners, unusable)
    for entry in left_out:
        logger.warning("item %s is left out of the training: %s", entry.external_id, entry.reason)
    excluded = {owner.item_id for owner in owners if owner.is_excluded}
    counted = [entry for entry in left_out if entry.item_id not in excluded]
    n_items = len({owner.item_id for owner in owners} - excluded)
    n_rows = len(data.rows)
    kept = [place for place in range(n_rows) if place not in unusable]
    if not kept or (counted and are_too_many(len(counted), n_items)):
        first = (counted or left_out)[0]
        raise too_many_for_training(
            len(counted or left_out), n_items, item=first.external_id, reason=first.reason
        )
    lost = {data.everything[place].image for place in unusable}
    kept_validation = [
        place for place in range(len(data.validation)) if n_rows + place not in unusable
    ]
    return replace(
        data,
        rows=[data.rows[place] for place in kept],
        items=[data.items[place] for place in kept],
        is_written=[data.is_written[place] for place in kept],
        is_of_prior=[data.is_of_prior[place] for place in kept],
        validation=[data.validation[place] for place in kept_validation],
        validation_items=[data.validation_items[place] for place in kept_validation],
        left_out=tuple(left_out),
        first=tuple(one for one in data.first if one.image not in lost),
    )


def _by_item(owners: Sequence[Owner], unusable: Mapping[int, Unusable]) -> list[LeftOutItem]:
    found: dict[int, LeftOutItem] = {}
    for place in sorted(unusable):
        owner = owners[place]
        error = unusable[place]
        kind = FailureKind.IMAGE if isinstance(error, ImageError) else FailureKind.PROMPT
        first = LeftOutItem(
            item_id=owner.item_id, external_id=owner.external_id, kind=kind, reason=error.message
        )
        before = found.get(owner.item_id, first)
        found[owner.item_id] = before.model_copy(update={"n_rows": before.n_rows + 1})
    return list(found.values())
