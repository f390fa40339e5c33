"""What only some strategies ask of a model beyond answering about a picture: each ability is tried
on the model itself, on the bare base and with nothing but its own forward, once."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from worker.ml.errors import MlError, first_line
from worker.ml.inputs.encode import NEUTRAL_QUESTION, Row, RowEncoder, collate, encoder_of
from worker.ml.inputs.frozen_tower import can_take_features
from worker.ml.inputs.perceiving import Request, perceive, perception_modules
from worker.ml.inputs.prompts import DEFAULT_STYLE, PromptStyle, frame_of
from worker.ml.inputs.sight import GREY, fit_adapter, show_grey
from worker.ml.model.contents import (
    adapter_weights,
    add_new_adapter,
    count_gradients,
    remove_adapters,
)
from worker.ml.model.loading import Vlm
from worker.ml.model.memory import is_out_of_memory
from worker.ml.same_logits import difference, is_rounding
from worker.ml.sampling.generate import sample
from worker.ml.training.losses import asked_logits, encode_example
from worker.ml.types import (
    ASKER,
    PROJECTOR,
    AdapterSettings,
    Draw,
    Example,
    ModuleSettings,
    Part,
    Prompt,
    SampleConfig,
    Sampled,
)

N_TOKENS = 4
CLOSE = 0.05
"""Nats by which the log-probabilities of a sampled text may differ between sampling and training:
above what half precision makes of four tokens, far below what another sequence would."""


class Ability(StrEnum):
    """Something that a strategy may need."""

    WITHOUT_PICTURE = "without_picture"
    """Reads a question without a picture, and goes on from what it said and was told."""
    TURNS = "turns"
    """Goes on from what it said of a picture with a question of its own."""
    PROTOTYPES = "prototypes"
    """Has a place for prototypes in front of its projector."""
    CAPTIONS = "captions first"
    """Learns captions with a tuned projector alone, while tower and language model rest."""
    PERCEPTION = "perception"
    """Can be shown of a picture what it asks for."""


def why_not(vlm: Vlm, ability: Ability, style: PromptStyle = DEFAULT_STYLE) -> str | None:
    """Returns the sentence that says why a model lacks an ability, None where it has it. Tried
    once per loaded model, with no adapter on."""
    place = f"ability {ability}"
    if place not in vlm.memo:
        vlm.memo[place] = _try(vlm, ability, style)
    reason: str | None = vlm.memo[place]
    return reason


def _try(vlm: Vlm, ability: Ability, style: PromptStyle) -> str | None:
    """What the trial of an ability finds; whatever a family objects to on the way is a reason."""
    trial, failing = _TRIALS[ability]
    try:
        return trial(vlm, style)
    except MlError as error:
        return error.message
    except Exception as error:  # a family may object in any way it likes
        if is_out_of_memory(error):
            raise
        return f"{failing}: {first_line(error)}"


def _try_without_picture(vlm: Vlm, style: PromptStyle) -> str | None:
    """Two turns are sampled with a text between them, and scored as a training would."""
    between = (Part(" it is red.", None, is_apart=True),)
    return _try_two(vlm, None, between, style, "without a picture")


def _try_turns(vlm: Vlm, style: PromptStyle) -> str | None:
    """A description and a question are sampled, and scored as a training would."""
    with TemporaryDirectory(prefix="illume-turns-") as folder:
        picture = Path(folder) / "grey.png"
        GREY.save(picture)
        between = (Part("", None, turn="user"), Part("", None, turn=ASKER))
        return _try_two(vlm, picture, between, style, "for a question of its own")


def _try_two(
    vlm: Vlm, picture: Path | None, between: tuple[Part, ...], style: PromptStyle, how: str
) -> str | None:
    said: list[Part] = []
    made: list[Sampled] = []
    config = SampleConfig(max_new_tokens=N_TOKENS)
    for turn in range(2):
        prompt = Prompt(picture, NEUTRAL_QUESTION, None, "", said=tuple(said))
        [sampled] = sample(vlm, [Draw(prompt, 0.01, turn)], config, style=style)
        tokens = sampled.tokens or ()
        made.append(sampled)
        said += [Part(sampled.text, "turn", tokens=tokens, is_apart=True), *between]
    found = _scored(vlm, Example(picture, NEUTRAL_QUESTION, tuple(said)), made, style)
    expected = [one.log_probability for one in made if one.tokens and one.log_probability]
    off = max((abs(x - y) for x, y in zip(found, expected, strict=True)), default=0.0)
    if off <= CLOSE:
        return None
    return (
        f"Asked {how}, a training scores what the model said {off:.2f} nats apart from sampling: "
        "it would learn other sequences than it said."
    )


@torch.no_grad()
def _scored(vlm: Vlm, example: Example, made: list[Sampled], style: PromptStyle) -> list[float]:
    """The log-probabilities that training computes of each text that has tokens; an end that was
    not sampled is left out."""
    [encoded] = encode_example(vlm, encoder_of(vlm), example, 0, style)
    vlm.model.eval()
    logits = vlm.model(**collate(vlm, [encoded.row], pad="right"), use_cache=False).logits[0]
    known = logits.float().log_softmax(-1)
    return [
        sum(float(known[place, token]) for place, token in targets[: one.n_tokens])
        for (_, targets), one in zip(encoded.learned, made, strict=True)
        if one.tokens
    ]


def _try_prototypes(vlm: Vlm, style: PromptStyle) -> str | None:
    """Fresh prototypes must change nothing, and ones that learned something must change what the
    model says of a picture."""
    settings = AdapterSettings(
        None, modules={"prototypes": ModuleSettings("prototypes", PROJECTOR, {"iterations": 2})}
    )
    try:
        bare = _shown(vlm, style)
        with torch.random.fork_rng(devices=[]):
            add_new_adapter(vlm.model, fit_adapter(vlm, settings))
            fresh = _shown(vlm, style)
            for tensor in adapter_weights(vlm.model).values():
                torch.nn.init.normal_(tensor)
            other = _shown(vlm, style)
    finally:
        remove_adapters(vlm.model)
    if not is_rounding(difference(fresh, bare), vlm.dtype):
        return "Prototypes that learned nothing change what the model says."
    if is_rounding(difference(other, bare), vlm.dtype):
        return "What prototypes learn does not reach what the model says."
    return None


def _try_captions(vlm: Vlm, style: PromptStyle) -> str | None:
    """A tuned copy of the projector must change nothing before it learns, and gradients must come
    back to it with nothing else on."""
    settings = AdapterSettings(None, modules={"projector": ModuleSettings("tuned", PROJECTOR)})
    try:
        bare = _shown(vlm, style)
        with torch.random.fork_rng(devices=[]):
            add_new_adapter(vlm.model, fit_adapter(vlm, settings))
            fresh = _shown(vlm, style)
        with torch.enable_grad():
            inputs = show_grey(vlm, frame_of(vlm, NEUTRAL_QUESTION, style).context)
            logits = vlm.model(**inputs, use_cache=False).logits[0, -1:]
            torch.autograd.backward(logits.float().square().sum())
        reached = count_gradients(vlm.model)
    finally:
        remove_adapters(vlm.model)
        vlm.model.zero_grad(set_to_none=True)
    if not is_rounding(difference(fresh, bare), vlm.dtype):
        return "A copy of the projector that learned nothing changes what the model says."
    if not reached or not all(n for n, _ in reached.values()):
        return "What the model says of a picture teaches its projector nothing."
    return None


def _try_perception(vlm: Vlm, style: PromptStyle) -> str | None:
    """What is asked must reach what is said, and gradients must come back to the request."""
    settings = AdapterSettings(None, modules=perception_modules())
    try:
        with TemporaryDirectory(prefix="illume-perception-") as folder:
            picture = Path(folder) / "halves.png"
            halves = GREY.copy()
            halves.paste((230, 30, 30), (0, 0, 112, 224))
            halves.save(picture)
            context = frame_of(vlm, NEUTRAL_QUESTION, style).context
            row = Row(*RowEncoder(vlm).context(picture, context), ())
        if not can_take_features(vlm, [row]):
            return "It takes no features of pictures that were made before, so none can be mixed."
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            add_new_adapter(vlm.model, fit_adapter(vlm, settings))
            asked = _last_logits(vlm, row, "own")
            torch.autograd.backward(asked.sum())
            basic = _last_logits(vlm, row, "none")
        reached = count_gradients(vlm.model)
    finally:
        remove_adapters(vlm.model)
        vlm.model.zero_grad(set_to_none=True)
    if not all(n for n, _ in reached.values()):
        return "What the model says of a picture does not teach it what to ask for."
    if is_rounding(difference(asked.detach(), basic.detach()), vlm.dtype):
        return "What the model asks to see does not reach what it says."
    return None


def _last_logits(vlm: Vlm, row: Row, request: Request) -> torch.Tensor:
    """The logits after a question about a picture that is shown as a request has it."""
    vlm.model.eval()
    [shown] = perceive(vlm, [row], request).rows
    batch = collate(vlm, [shown], pad="right")
    return asked_logits(vlm, vlm.model, batch, [(0, row.length - 1)]).float()


@torch.no_grad()
def _shown(vlm: Vlm, style: PromptStyle) -> torch.Tensor:
    """The logits after a question about a grey picture."""
    inputs = show_grey(vlm, frame_of(vlm, NEUTRAL_QUESTION, style).context)
    vlm.model.eval()
    logits: torch.Tensor = vlm.model(**inputs, use_cache=False).logits[0, -1:]
    return logits.float().cpu()


_TRIALS: Mapping[Ability, tuple[Callable[[Vlm, PromptStyle], str | None], str]] = {
    Ability.WITHOUT_PICTURE: (
        _try_without_picture,
        "The model cannot be asked without a picture",
    ),
    Ability.TURNS: (_try_turns, "The model cannot be asked for a question of its own"),
    Ability.PROTOTYPES: (_try_prototypes, "Prototypes cannot be put on"),
    Ability.CAPTIONS: (_try_captions, "Its projector cannot be tuned alone"),
    Ability.PERCEPTION: (_try_perception, "The model cannot be shown what it asks for"),
}
"""The trial of each ability, and what is said where a family raises an error of its own."""
