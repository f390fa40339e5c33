"""Working with what can be used: a bad image costs its own draws and rows and no others."""

from collections.abc import Callable, Sequence
from pathlib import Path

from worker.ml.encode import RowEncoder
from worker.ml.errors import ImageError, Stopped
from worker.ml.generate import OnDone, sample
from worker.ml.loading import Reader, Vlm
from worker.ml.prompts import DEFAULT_STYLE, PromptStyle, frame_of
from worker.ml.types import Draw, Failed, SampleConfig, Sampled, TrainRow


def find_unusable(
    reader: Vlm | Reader,
    rows: Sequence[TrainRow],
    *,
    encoder: RowEncoder | None = None,
    should_stop: Callable[[], bool] | None = None,
    style: PromptStyle = DEFAULT_STYLE,
) -> dict[int, ImageError]:
    """Positions of the rows whose image cannot be read, or is refused by the model's processor,
    each with what is wrong. Every image is prepared for its question as training will do it.

    encoder: one that is used afterwards, so that it need not prepare all of them again.
    """
    encoder = encoder or RowEncoder(reader)
    known: dict[tuple[Path, str], ImageError | None] = {}
    found: dict[int, ImageError] = {}
    for place, row in enumerate(rows):
        if should_stop is not None and should_stop():
            raise Stopped
        key = (row.image, row.question)
        if key not in known:
            known[key] = _what_is_wrong(encoder, reader, row, style)
        if (error := known[key]) is not None:
            found[place] = error
    return found


def _what_is_wrong(
    encoder: RowEncoder, reader: Vlm | Reader, row: TrainRow, style: PromptStyle
) -> ImageError | None:
    try:
        encoder.context(row.image, frame_of(reader, row.question, style).context)
    except ImageError as error:
        return error
    return None


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
