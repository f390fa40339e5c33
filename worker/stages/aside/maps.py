"""Measure what hiding places of the picture changes, for the draws whose looks people are shown.

Which draws these are is known when a shard is stored, so this follows it, in transactions of its
own. What a crash or a failure left out is taken up when all shards are done; a map that cannot be
made is missing on the page, and stops nothing.
"""

import logging
from collections.abc import Sequence
from functools import partial

from app.kit.errors import AppError
from app.kit.storage import image_path
from app.queries.judging import draws as queries
from app.queries.judging.draws import ItemToMap
from worker.host.heart import Heart
from worker.host.persist import persist
from worker.ml.errors import MlError
from worker.ml.occlusion import LookMap, make_map
from worker.stages.base import load_base
from worker.stages.inputs import RunInputs

logger = logging.getLogger(__name__)


def map_shown(
    inputs: RunInputs,
    adapter_digest: str | None,
    heart: Heart,
    item_ids: Sequence[int] | None = None,
) -> None:
    """Measure and store the looks of a strategy that a round shows and that were not measured.
    item_ids: those of these items alone, where given."""
    if not inputs.strategy.draws_boxes:
        return
    strategy = inputs.strategy.name
    wanted = persist(
        lambda session: queries.list_items_to_map(
            session, inputs.round_id, strategy=strategy, item_ids=item_ids
        )
    )
    for one in wanted:
        if heart.lost.is_set():
            return
        if (found := _measure(inputs, adapter_digest, one)) is not None:
            persist(partial(queries.insert_maps, rows=_rows(one, found)))


def _measure(inputs: RunInputs, adapter_digest: str | None, one: ItemToMap) -> LookMap | None:
    picture = image_path(one.image.sha256, one.image.media_type)
    try:
        vlm = load_base(inputs, adapter_digest)
        return make_map(vlm, picture, one.item.question, one.item.answer)
    except (AppError, MlError) as error:
        logger.warning("item %s has no map: %s", one.item.external_id, error)
        return None


def _rows(one: ItemToMap, found: LookMap) -> list[dict[str, object]]:
    """The rows of a map: one for each draw that is shown. They share what it took."""
    return [
        {
            "sample_id": sample_id,
            "turn": 1,
            "n_rows": found.rows,
            "n_columns": found.columns,
            "probability": found.probability,
            "falls": list(found.occlusion),
            "without": found.without,
            "seconds": found.seconds / len(one.sample_ids),
        }
        for sample_id in one.sample_ids
    ]
