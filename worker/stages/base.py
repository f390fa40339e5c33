"""The base models of a round: the very contents that the project began with, proved before anything
is sampled from them or trained on them."""

import hashlib
import json
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.orm import Session

from app.kit.errors import AppError
from app.kit.settings import get_settings
from app.models import Adapter, Round
from app.queries.rounds import bases as base_queries
from app.queries.rounds import rounds as round_queries
from app.round_settings import LoopSettings, NamedBase
from app.services.rounds import bases
from app.services.runs import runs
from worker.host.heart import Heart
from worker.host.models import get_vlm, resolve
from worker.host.persist import persist
from worker.ml.abilities import Ability, why_not
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


def load_base(inputs: RunInputs, adapter_digest: str | None, role: str | None = None) -> Vlm:
    """Returns the pinned base of a role, of the run's own unless one is named, with the adapter on
    it, or bare. Raises BaseChanged where its files are others than those that the project began
    with."""
    return _load(inputs, inputs.base_of(role or inputs.role), adapter_digest)


def _load(
    inputs: RunInputs,
    base: NamedBase,
    adapter_digest: str | None = None,
    *,
    is_alone: bool = False,
) -> Vlm:
    """A base of the run, with no other in memory where it `is_alone` or the run does not need it;
    else beside those that the run needs too."""
    beside = inputs.loaded if base in inputs.loaded and not is_alone else ()
    try:
        return get_vlm(
            NamedBase(base.name, inputs.revision_of(base)),
            dtype=inputs.settings.dtype,
            adapter_digest=adapter_digest,
            beside=[NamedBase(one.name, inputs.revision_of(one)) for one in beside],
        )
    except BaseChangedError as error:
        if base in inputs.pins:
            _hold(inputs, base, error.found)
        raise


def _hold(inputs: RunInputs, base: NamedBase, found: str) -> None:
    def compare(session: Session) -> AppError | None:
        round_ = session.get_one(Round, inputs.round_id)
        bases.pin_base(session, round_, base, found)
        return bases.note_found(session, round_, base, found)

    if refusal := persist(compare):
        raise refusal


def prove_bases(inputs: RunInputs, heart: Heart) -> RunInputs:
    """Measures each base of the run's strategy once per content, library versions and settings;
    returns the inputs with the contents that are pinned. Raises ModelRefused with the figure and
    what to do, also where a base lacks what its roles need, and AppError where an adapter of the
    round is of another base than its role. Each is measured alone; what the run
    needs at once is loaded afterwards, so that a device which does not hold it says so here. The
    run tells meanwhile that the model is being tried."""
    persist(lambda session: _refuse_adapters(session, inputs))
    needed = inputs.strategy.list_bases(inputs.settings)
    for base in sorted(needed, key=lambda base: base == inputs.base):  # its own is loaded last
        inputs = _prove_base(inputs, base, heart)
    if len(needed) > 1:
        for base in needed:
            if base in inputs.loaded:
                _load(inputs, base)
    return inputs


def _refuse_adapters(session: Session, inputs: RunInputs) -> None:
    for model in round_queries.list_round_models(session, inputs.round_id):
        ids = {model.parent_adapter_id, model.new_adapter_id} - {None}
        base = inputs.base_of(model.role)
        for adapter in [session.get_one(Adapter, adapter_id) for adapter_id in ids]:
            if model.strategy == inputs.strategy.name and adapter.base_model != base.name:
                raise AppError(
                    f"The adapter {adapter.digest[:12]} was trained on {adapter.base_model}, and "
                    f"the {model.role} of this round stands on {base.name}. Cancel the round and "
                    "start another: it goes on from the newest adapter on each role's own base."
                )


def _prove_base(inputs: RunInputs, base: NamedBase, heart: Heart) -> RunInputs:
    pinned = inputs.pins.get(base)
    if pinned is not None and _is_proved(inputs, pinned):
        _refuse_strategy(inputs, base)
        return inputs
    run_id = inputs.run.id
    persist(lambda session: runs.note_doing(session, run_id, TRYING))
    try:
        vlm = _load(inputs, base)
        if not _is_proved(inputs, vlm.revision):
            proof = _measure(inputs, _load(inputs, base, is_alone=True), heart)
            persist(lambda session: _store(session, inputs, base, vlm, proof))
            if proof.reason is not None:
                raise ModelRefused(proof.reason)
        _refuse_strategy(inputs, base)
        if pinned is None:  # only now: a model that was refused may be mended
            _hold(inputs, base, vlm.revision)
    finally:
        persist(lambda session: runs.note_doing(session, run_id, None))
    return replace(inputs, pins={**inputs.pins, base: vlm.revision})


def _refuse_strategy(inputs: RunInputs, base: NamedBase) -> None:
    strategy, procedure = inputs.strategy, get_procedure(inputs.strategy.name)
    roles = [role for role in strategy.roles if inputs.base_of(role) == base]
    as_what = f" as its {roles[0]}" if len(roles) < len(strategy.roles) else ""
    for role in roles:
        for ability in procedure.needed(inputs.settings, role):
            if reason := _why_not(inputs, base, ability):
                raise ModelRefused(
                    f"{base.name} cannot be asked by the strategy {strategy.name}{as_what}: "
                    f"{reason} Choose another base model or strategy."
                )


_verdicts: dict[tuple[str, str, Ability], str | None] = {}
"""What was found by content of a base, number format and ability, so that a training need not load
the base of a role that rests."""


def _why_not(inputs: RunInputs, base: NamedBase, ability: Ability) -> str | None:
    key = inputs.pins.get(base, ""), inputs.settings.dtype, ability
    if base in inputs.loaded or key not in _verdicts:
        vlm = _load(inputs, base)
        key = vlm.revision, inputs.settings.dtype, ability
        _verdicts[key] = why_not(vlm, ability)
    return _verdicts[key]


def check_base(inputs: RunInputs) -> None:
    """Raises BaseChanged as load_base does for the base of the run's role, without loading the
    model into this process."""
    try:
        find_model(resolve(inputs.base.name), inputs.pins.get(inputs.base))
    except BaseChangedError as error:
        _hold(inputs, inputs.base, error.found)
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


def _store(session: Session, inputs: RunInputs, base: NamedBase, vlm: Vlm, proof: Proof) -> None:
    measured = bases.Measured(
        key=_key(inputs, vlm.revision),
        base_model=base.name,
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
