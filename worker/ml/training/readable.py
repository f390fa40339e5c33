"""Working with what can be used: what cannot be given to the model costs its own draws and rows."""

from collections.abc import Callable, Sequence
from pathlib import Path

from worker.ml.errors import ImageError, PromptError, Stopped
from worker.ml.inputs.encode import RowEncoder, check_length
from worker.ml.inputs.prompts import DEFAULT_STYLE, PromptStyle, train_text
from worker.ml.model.loading import Reader, Vlm
from worker.ml.sampling.generate import OnDone, sample
from worker.ml.training.losses import cut_pieces
from worker.ml.types import Draw, Example, Failed, FailedFor, Prompt, SampleConfig, Sampled

Unusable = ImageError | PromptError


def find_unusable(
    reader: Vlm | Reader,
    examples: Sequence[Example],
    *,
    should_stop: Callable[[], bool] | None = None,
    style: PromptStyle = DEFAULT_STYLE,
) -> dict[int, Unusable]:
    """Returns the positions of the examples whose image cannot be read, whose image or texts the
    model's processor refuses, or that are longer than the model, each with what is wrong. Every
    image is decoded and prepared for its question as training will do it. Raises Stopped."""
    encoder = RowEncoder(reader)
    known: dict[tuple[Path | None, str], int | Unusable] = {}
    found: dict[int, Unusable] = {}
    for place, example in enumerate(examples):
        if should_stop is not None and should_stop():
            raise Stopped
        try:
            _try_example(encoder, reader, example, style, known)
        except (ImageError, PromptError) as error:
            found[place] = error
    return found


def _try_example(
    encoder: RowEncoder,
    reader: Vlm | Reader,
    example: Example,
    style: PromptStyle,
    known: dict[tuple[Path | None, str], int | Unusable],
) -> None:
    """known: of each image with its question, how many tokens they have or what is wrong."""
    text = train_text(reader, example, style)
    key = (example.image, text.context)
    if key not in known:
        try:
            known[key] = encoder.context(*key)[0]["input_ids"].shape[1]
        except (ImageError, PromptError) as error:
            known[key] = error
    n_context = known[key]
    if not isinstance(n_context, int):
        raise n_context
    for pieces in cut_pieces(reader.tokenizer, text, end=0):
        check_length(reader, n_context + sum(len(piece.tokens) for piece in pieces))


def sample_readable(
    vlm: Vlm,
    draws: Sequence[Draw],
    config: SampleConfig,
    *,
    on_done: OnDone | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> list[Sampled | Failed]:
    """Samples as generate.sample does, in the order of `draws`; a draw whose image or whose texts
    cannot be given to the model is Failed. The other texts are what they would be without it: a
    text does not depend on its batch partners. Raises Stopped and DeviceError as generate.sample
    does.
    """
    failed: dict[Prompt, Failed] = {}

    def note(prompt: Prompt, error: ImageError | PromptError) -> None:
        cause: FailedFor = "image" if isinstance(error, ImageError) else "prompt"
        failed[prompt] = Failed(error.message, cause)

    made = iter(
        sample(vlm, draws, config, on_done=on_done, should_stop=should_stop, on_refused=note)
    )
    return [failed.get(draw.prompt) or next(made) for draw in draws]
