"""The models of the benchmark: trained once per seed and arm, kept in a folder, and resumed."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from benchmarks.support.held import held
from worker.host.models import DEMO_CHECKPOINT
from worker.ml.inputs.encode import encoder_of
from worker.ml.inputs.prompts import DEFAULT_STYLE
from worker.ml.model.attached import attach_adapter
from worker.ml.model.literal import token_ids
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.training.branches import join, tree_losses
from worker.ml.training.losses import encode_example
from worker.ml.training.readable import sample_readable
from worker.ml.training.train import train_lora
from worker.ml.types import (
    AdapterSettings,
    Draw,
    Example,
    Failed,
    LoraSettings,
    ModuleSettings,
    SampleConfig,
    Sampled,
    TrainConfig,
    TrainProgress,
)
from worker.strategies.contract import Sampler

LORA = LoraSettings(rank=32, alpha=64.0, dropout=0.0)
READING = AdapterSettings(LORA)
"""For what is given no picture and says words that the demo model knows."""

_TUNED_OUTPUT = {"output": ModuleSettings("tuned", "lm_head")}
TALKING = AdapterSettings(LORA, modules=_TUNED_OUTPUT)
"""For what says words that the demo model never said: those of questions."""

_SEEING_LORA = replace(LORA, tower=True, projector=True)
SEEING = AdapterSettings(_SEEING_LORA)
"""For all that sees the picture: the language model alone does not learn where a thing stands."""

SEEING_AND_TALKING = AdapterSettings(_SEEING_LORA, modules=_TUNED_OUTPUT)

LIMIT = SampleConfig(max_new_tokens=48, top_k_share=1.0)


@dataclass(frozen=True)
class Trained:
    """An adapter, with what it took: seconds of training, and tokens that were learned."""

    folder: Path
    seconds: float
    n_supervised: int


class Workshop:
    """One base model and the adapters that were trained on it, in a folder."""

    def __init__(self, folder: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        self.folder = folder
        self.vlm: Vlm = load_vlm(str(DEMO_CHECKPOINT), device="cpu")

    def train(
        self,
        name: str,
        examples: Callable[[], Sequence[Example]],
        adapter: AdapterSettings,
        config: TrainConfig,
        *,
        start_from: Path | None = None,
    ) -> Trained:
        """Returns the adapter of this name, trained where it is not there yet. A process that wants
        one which another process trains waits for it."""
        place = self.folder / name
        made = list(examples())
        n_supervised = config.epochs * sum(self._count(example) for example in made)
        with held(place.with_name(f"{name}.lock")):
            if not (place / "seconds").exists():
                report = train_lora(
                    self.vlm,
                    made,
                    (),
                    config,
                    adapter,
                    start_from=start_from,
                    state_dir=place / "state",
                    out_dir=place / "adapter",
                    on_progress=_teller(name),
                )
                (place / "seconds").write_text(f"{report.seconds:.1f}", encoding="ascii")
        seconds = float((place / "seconds").read_text(encoding="ascii"))
        return Trained(place / "adapter", seconds, n_supervised)

    def _count(self, example: Example) -> int:
        """How many tokens are learned of an example, end tokens among them."""
        learned = [part.text for part in example.parts if part.loss is not None]
        return sum(len(token_ids(self.vlm.tokenizer, text)) + 1 for text in learned)

    def sampler(self, adapter: Path | None) -> Sampler:
        """Returns the model with this adapter on."""

        return self.attached(adapter, partial(sample_readable, self.vlm))

    def attached(self, adapter: Path | None, make: Sampler) -> Sampler:
        """Returns a way to sample that puts this adapter on before each call."""

        def draw(draws: Sequence[Draw], config: SampleConfig) -> list[Sampled | Failed]:
            attach_adapter(self.vlm, adapter)
            return make(draws, config)

        return draw

    def say(self, adapter: Path | None, draws: Sequence[Draw]) -> list[Sampled]:
        """Returns the texts of some draws. Raises RuntimeError where one failed."""
        found: list[Sampled] = []
        for made in self.sampler(adapter)(draws, LIMIT):
            if isinstance(made, Failed):
                raise RuntimeError(made.reason)
            found.append(made)
        return found

    @torch.no_grad()
    def most_probable(self, adapter: Path, choices: Sequence[Sequence[Example]]) -> list[int]:
        """Returns, of each list of examples that end otherwise, the place of the one whose learned
        tokens the model finds most probable, on average over them."""
        attach_adapter(self.vlm, adapter)
        self.vlm.model.eval()
        encoder = encoder_of(self.vlm)
        best: list[int] = []
        for examples in choices:
            sequences = [
                encode_example(self.vlm, encoder, example, place, DEFAULT_STYLE)[0]
                for place, example in enumerate(examples)
            ]
            names = tuple(dict.fromkeys(name for e in examples for name in e.losses))
            trees = [join([sequence]) for sequence in sequences]
            losses, indices = tree_losses(self.vlm, self.vlm.model, trees, names)
            total = losses.values.sum(0).tolist()
            best.append(indices[min(range(len(total)), key=total.__getitem__)])
        return best


def _teller(name: str) -> Callable[[TrainProgress], None]:
    began = time.monotonic()

    def tell(progress: TrainProgress) -> None:
        if progress.step % 50 == 0:
            losses = _in_words(progress.losses)
            print(  # noqa: T201 - a command line program
                f"{name}: step {progress.step} of {progress.n_steps}, {losses}, "
                f"{time.monotonic() - began:.0f} s",
                file=sys.stderr,
            )

    return tell


def _in_words(losses: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
