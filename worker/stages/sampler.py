"""Samples a round's texts from the model in this process, or from the installation's server."""

from collections.abc import Mapping, Sequence
from functools import cache

from app.kit.errors import SetupError
from app.kit.settings import Settings, get_settings
from app.kit.storage import adapter_folder
from app.round_settings import LoopSettings, NamedBase
from worker.host.heart import Heart
from worker.host.models import resolve
from worker.ml.model.literal import Marks
from worker.ml.model.vocabulary import read_marks, vocabulary_size
from worker.ml.training.readable import sample_readable
from worker.ml.types import Draw, Failed, SampleConfig, Sampled
from worker.serving.connection import Server
from worker.serving.sample import Served, connect, sample_served
from worker.stages.base import load_base
from worker.stages.inputs import RunInputs, stop_when_lost
from worker.strategies.contract import Models, Sampler

Adapters = Mapping[str, tuple[int, str] | None]
"""By role of a strategy: (id, digest) of the adapter to ask with, or None for the base alone."""


def open_models(inputs: RunInputs, backend: str, adapters: Adapters, heart: Heart) -> Models:
    """Returns the models of a strategy, by role, each its base with its adapter.

    Nothing is loaded or asked before the first draws come: only then is a shard held.
    """
    return {
        role: _open_sampler(inputs, backend, role, adapter, heart)
        for role, adapter in adapters.items()
    }


def _open_sampler(
    inputs: RunInputs, backend: str, role: str, adapter: tuple[int, str] | None, heart: Heart
) -> Sampler:
    digest = adapter[1] if adapter else None
    if backend == "server":
        return _served(inputs.settings, inputs.base_of(role), digest, heart)
    return _local(inputs, role, digest, heart)


def _local(inputs: RunInputs, role: str, digest: str | None, heart: Heart) -> Sampler:
    def draw(draws: Sequence[Draw], config: SampleConfig) -> list[Sampled | Failed]:
        vlm = load_base(inputs, digest, role)
        return sample_readable(
            vlm, draws, config, on_done=heart.pace.count, should_stop=stop_when_lost(heart)
        )

    return draw


def _served(settings: LoopSettings, named: NamedBase, digest: str | None, heart: Heart) -> Sampler:
    @cache
    def served() -> tuple[Served, int, Marks]:
        server = sampling_server(get_settings())
        adapter = (digest, adapter_folder(digest)) if digest else None
        base = resolve(named.name), named.revision
        found = connect(server, settings.sampling.server_model, adapter)
        return found, vocabulary_size(*base), read_marks(*base)

    def draw(draws: Sequence[Draw], config: SampleConfig) -> list[Sampled | Failed]:
        found, size, marks = served()
        made = sample_served(
            found,
            draws,
            config,
            vocabulary=size,
            marks=marks,
            should_stop=stop_when_lost(heart),
        )
        heart.pace.count(len(made))
        return made

    return draw


def sampling_server(settings: Settings) -> Server:
    """Returns the server of this installation. Raises SetupError where none is set."""
    if settings.sampling_server is None:
        raise SetupError(
            "The settings want a sampling server, but this worker knows none. Set SAMPLING_SERVER "
            "for the model workers (docs/serving.md) and start them again, or sample locally."
        )
    key = settings.sampling_server_key
    return Server(
        url=settings.sampling_server,
        key=key.get_secret_value() if key else None,
        n_requests=settings.sampling_server_requests,
        seconds=settings.sampling_server_seconds,
    )
