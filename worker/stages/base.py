"""The base model of a round: the very content that the project began with, proved before anything
is sampled from it or trained on it."""

import hashlib
import json
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.orm import Session

from app.kit.errors import AppError
from app.kit.settings import get_settings
from app.models import Round
from app.queries.rounds import bases as base_queries
from app.round_settings import LoopSettings
from app.services.rounds import bases
from app.services.runs import runs
from worker.host.heart import Heart
from worker.host.models import get_vlm, resolve
from worker.host.persist import persist
from worker.ml.abilities import why_not
from worker.ml.errors import BaseChangedError
from worker.ml.inputs.prompts import DEFAULT_STYLE
from worker.ml.model.loading import Vlm, find_model
from worker.ml.proof.lines import Proof
from worker.ml.proof.prove import prove
from worker.scene_pairs import render_pairs
from worker.stages.inputs import RunInputs, stop_when_lost
from worker.stages.refusals import ModelRefused
from worker.stages.training_settings import lora_settings
from worker.strategies import get_procedure

N_PAIRS = 3
TRYING = "trying the model"
"""What a run says that it does, while a proof is being made."""


def load_base(inputs: RunInputs, adapter_digest: str | None) -> Vlm:
    """Returns the pinned base with the adapter on it, or bare. Raises BaseChanged where its files
    are others than those that the project began with.
    """
    settings = inputs.settings
    try:
        return get_vlm(
            settings.base_model,
            revision=inputs.pinned or settings.revision,
            dtype=settings.dtype,
            adapter_digest=adapter_digest,
        )
    except BaseChangedError as error:
        if inputs.pinned is not None:
            _hold(inputs, error.found)
        raise


def _hold(inputs: RunInputs, found: str) -> None:
    def compare(session: Session) -> AppError | None:
        round_ = session.get_one(Round, inputs.round_id)
        bases.pin_base(session, round_, inputs.settings, found)
        return bases.note_found(session, round_, inputs.settings, found)

    if refusal := persist(compare):
        raise refusal


def prove_base(inputs: RunInputs, heart: Heart) -> RunInputs:
    """Measure the base once per content, library versions and settings; returns the inputs with the
    content that is pinned. Raises ModelRefused with the figure and what to do, also where the base
    lacks what the run's strategy needs. The run tells meanwhile that the model is being tried."""
    if inputs.pinned is not None and _is_proved(inputs, inputs.pinned):
        _refuse_strategy(inputs)
        return inputs
    run_id = inputs.run.id
    persist(lambda session: runs.note_doing(session, run_id, TRYING))
    try:
        vlm = load_base(inputs, None)
        if not _is_proved(inputs, vlm.revision):
            proof = _measure(inputs, vlm, heart)
            persist(lambda session: _store(session, inputs, vlm, proof))
            if proof.reason is not None:
                raise ModelRefused(proof.reason)
        _refuse_strategy(inputs)
        if inputs.pinned is None:  # only now: a model that was refused may be mended
            _hold(inputs, vlm.revision)
    finally:
        persist(lambda session: runs.note_doing(session, run_id, None))
    return replace(inputs, pinned=vlm.revision)


def _refuse_strategy(inputs: RunInputs) -> None:
    for ability in get_procedure(inputs.strategy.name).needed(inputs.settings):
        if reason := why_not(load_base(inputs, None), ability):
            raise ModelRefused(
                f"{inputs.settings.base_model} cannot be asked by the strategy "
                f"{inputs.strategy.name}: {reason} Choose another base model or strategy."
            )


def check_base(inputs: RunInputs) -> None:
    """Raises BaseChanged as load_base does, without loading the model into this process."""
    try:
        find_model(resolve(inputs.settings.base_model), inputs.pinned)
    except BaseChangedError as error:
        _hold(inputs, error.found)
        raise


def _is_proved(inputs: RunInputs, digest: str) -> bool:
    key = _key(inputs, digest)
    return persist(lambda session: base_queries.is_proved(session, *key))


def _measure(inputs: RunInputs, vlm: Vlm, heart: Heart) -> Proof:
    training = inputs.settings.training
    with TemporaryDirectory(prefix="illume-proof-") as folder:
        return prove(
            vlm,
            render_pairs(Path(folder), N_PAIRS),
            lora_settings(training),
            opener=inputs.settings.sampling.openers[0],
            gradient_checkpointing=training.gradient_checkpointing,
            should_stop=stop_when_lost(heart),
        )


def _store(session: Session, inputs: RunInputs, vlm: Vlm, proof: Proof) -> None:
    measured = bases.Measured(
        key=_key(inputs, vlm.revision),
        base_model=inputs.settings.base_model,
        device=str(vlm.device),
        lines=[asdict(line) for line in proof.lines],
        reason=proof.reason,
        seconds=proof.seconds,
    )
    bases.store_proof(session, session.get_one(Round, inputs.round_id), measured)


def _key(inputs: RunInputs, digest: str) -> tuple[str, str, str]:
    names = ("torch", "transformers", "peft")
    libraries = ", ".join(f"{name} {version(name)}" for name in names)
    return digest, libraries, _settings_digest(inputs.settings)


def _settings_digest(settings: LoopSettings) -> str:
    """Returns a digest of all that decides what is measured, beside the model and the libraries."""
    lora = asdict(lora_settings(settings.training))
    what = [
        lora,
        settings.dtype,
        get_settings().device,
        settings.sampling.openers[0],
        settings.training.gradient_checkpointing,
        asdict(DEFAULT_STYLE),
    ]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
