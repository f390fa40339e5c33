"""Whether a training sends gradients through the pass in which a model asks what to see."""

from worker.ml.model.loading import Vlm
from worker.ml.model.memory import free_bytes
from worker.ml.model.modules.perception import Perception
from worker.ml.types import TrainConfig

_TOKENS = 1024
"""About what a question with its picture has."""
_VALUES = 34
"""About how many numbers of each layer, token and unit of width are kept for the way back
(Korthikanti et al. 2022, arXiv 2205.05198)."""
_SHARE = 0.25
"""Of the free memory, which the second pass and the optimizer need too."""


def cuts_requests(vlm: Vlm, config: TrainConfig, perception: Perception | None) -> bool:
    """Returns whether requests are read without gradients: as the training wants it, or where what
    the first pass keeps would take more than a quarter of the free memory."""
    if perception is None or config.cut_requests == "off":
        return False
    if config.cut_requests == "on":
        return True
    width: int = vlm.model.config.get_text_config(decoder=True).hidden_size
    kept = _VALUES * perception.layer * config.batch_size * _TOKENS * width * vlm.dtype.itemsize
    if config.gradient_checkpointing:
        kept //= _VALUES
    return bool(kept > _SHARE * free_bytes(vlm.device))
