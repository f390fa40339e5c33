"""Sampling what can be sampled: a damaged image costs its own draws and no others."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from worker.ml.encode import read_image
from worker.ml.errors import ImageError
from worker.ml.generate import OnDone, sample
from worker.ml.loading import Vlm
from worker.ml.types import Draw, Failed, SampleConfig, Sampled


def find_unreadable(images: Iterable[Path]) -> dict[Path, ImageError]:
    """Images that cannot be read, each with what is wrong. Reads all of them."""
    found: dict[Path, ImageError] = {}
    for image in images:
        try:
            read_image(image)
        except ImageError as error:
            found[image] = error
    return found


def sample_readable(
    vlm: Vlm,
    draws: Sequence[Draw],
    config: SampleConfig,
    *,
    on_done: OnDone | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> list[Sampled | Failed]:
    """As generate.sample, in the order of `draws`; a draw whose image cannot be read or is refused
    by the processor is Failed. The other texts are what they would be without it: a text does not
    depend on its batch partners. Raises Stopped and DeviceError as generate.sample does.
    """
    failed: dict[Path, Failed] = {}
    while True:
        kept = [draw for draw in draws if draw.prompt.image not in failed]
        try:
            made = iter(
                sample(vlm, kept, config, on_done=on_done, should_stop=should_stop) if kept else ()
            )
        except ImageError as error:
            if error.image in failed:
                raise  # not of these draws: leaving it out again would not help
            failed[error.image] = Failed(error.message, is_image=True)
            continue
        return [failed.get(draw.prompt.image) or next(made) for draw in draws]
