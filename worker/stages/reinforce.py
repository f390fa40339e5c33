"""Teach a role of a strategy by rewards of its own draws, while the other roles rest."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy.orm import Session

from app.kit.settings import get_settings
from app.kit.storage import adapters_folder
from app.models import RoundModel
from app.queries.rounds import rounds as round_queries
from app.queries.rounds.rewards import KnownMarks, find_marks
from app.queries.rounds.training_items import ManifestRow, list_manifest
from app.queries.runs import runs as run_queries
from app.reward_results import (
    ReinforcementPlan,
    ReinforcementProgress,
    ReinforcementResult,
    ReinforcementStep,
    RewardedEpoch,
)
from app.services.rounds.moving_on import finish_round_run
from app.services.runs import runs
from worker.host.heart import Heart
from worker.host.models import resolve
from worker.host.pace import TimeLeft
from worker.host.persist import persist
from worker.ml.model.adapters import publish_adapter
from worker.ml.model.loading import Vlm
from worker.ml.model.vocabulary import vocabulary_size
from worker.ml.reinforcement.live import LiveAdapter
from worker.ml.reinforcement.reinforce import reinforce
from worker.ml.reinforcement.types import (
    ReinforceProgress,
    ReinforceReport,
    Rollout,
)
from worker.ml.training.readable import sample_readable
from worker.ml.types import Draw, Failed, SampleConfig, Sampled
from worker.stages.base import load_base, prove_bases
from worker.stages.inputs import RunInputs, load_inputs, stop_when_lost
from worker.stages.train import add_adapter, thin
from worker.stages.training_settings import (
    adapter_settings,
    reinforce_config,
    without_dropout,
)
from worker.strategies import get_procedure
from worker.strategies.contract import Models, Sampler


def reinforce_role(run_id: int, attempt: int, heart: Heart) -> None:
    """Does a claimed run; goes on from the generation that a former attempt saved."""
    inputs = persist(lambda session: load_inputs(session, run_id))
    data = persist(lambda session: _load(session, inputs))
    if not data.items:
        persist(lambda session: _finish(session, inputs, attempt=attempt))
        return
    inputs = prove_bases(inputs, heart)
    vlm = load_base(inputs, None)
    state_dir = get_settings().store_path / "state" / data.state_name
    with heart.pace.counting("tokens"):
        report = reinforce(
            vlm,
            len(data.items),
            lambda live: _rollout(inputs, data, vlm, live, heart),
            reinforce_config(inputs.settings),
            get_procedure(inputs.strategy.name).adapt(
                inputs.role,
                without_dropout(adapter_settings(inputs.settings.training)),
                inputs.settings,
                lambda: vocabulary_size(resolve(inputs.base.name), inputs.revision_of(inputs.base)),
            ),
            epochs=data.plan.epochs,
            start_from=adapters_folder() / data.adapters[inputs.role][1],
            reference=adapters_folder() / data.reference,
            about=data.describe(inputs),
            state_dir=state_dir,
            out_dir=state_dir / "adapter",
            on_progress=_teller(heart),
            should_stop=stop_when_lost(heart),
        )
    meta = _meta(inputs, data, vlm, report)
    digest, _ = publish_adapter(state_dir / "adapter", adapters_folder(), meta)
    made = _Made(data, report, vlm.revision, digest, meta)
    persist(lambda session: _finish(session, inputs, made, attempt=attempt))
    shutil.rmtree(state_dir, ignore_errors=True)


@dataclass(frozen=True)
class _Data:
    """items: of the manifest. adapters: (id, digest) by role, as the roles are now; reference: the
    digest of that from which the one that learns should not go far."""

    plan: ReinforcementPlan
    items: Sequence[ManifestRow]
    adapters: dict[str, tuple[int, str]]
    reference: str
    marks: KnownMarks
    state_name: str

    def describe(self, inputs: RunInputs) -> str:
        """Returns all that decides the rewards, for telling a state of other ones."""
        settings = inputs.settings
        resting = {role: found[1] for role, found in self.adapters.items() if role != inputs.role}
        about = [
            [(row.item.external_id, row.item.question, row.answer) for row in self.items],
            [row.image.sha256 for row in self.items],
            resting,
            settings.monologue.model_dump(mode="json"),
            settings.reinforcement.model_dump(mode="json"),
            [sorted(self.marks.questions.items()), sorted(self.marks.observations.items())],
            *_describe_apart(inputs),
        ]
        return json.dumps(about, sort_keys=True)


def _describe_apart(inputs: RunInputs) -> list[dict[str, tuple[str, str | None]]]:
    """The bases of the resting roles, where they stand on another one than the role that learns."""
    bases = {role: inputs.base_of(role) for role in inputs.strategy.roles}
    apart = {
        role: (base.name, inputs.revision_of(base))
        for role, base in bases.items()
        if base != inputs.base
    }
    return [apart] if apart else []


@dataclass(frozen=True)
class _Made:
    """The adapter that was made, and how that went."""

    data: _Data
    report: ReinforceReport
    revision: str
    digest: str
    meta: dict[str, object]


def _load(session: Session, inputs: RunInputs) -> _Data:
    first = runs.list_chain(session, inputs.run)[-1]  # whose manifest and state a retry reads
    plan = ReinforcementPlan.read(inputs.run.parameters)
    adapters = inputs.list_adapters(session, _adapter_now)
    reference = inputs.find_adapter(session, plan.reference_id)
    return _Data(
        plan=plan,
        # In an order that is the same wherever the same items are: it decides who is drawn when.
        items=sorted(
            list_manifest(session, first.id) if reference else (),
            key=lambda row: row.item.external_id,
        ),
        adapters={role: found for role, found in adapters.items() if found is not None},
        reference=reference[1] if reference else "",
        marks=find_marks(session, first.id),
        state_name=f"reinforce-{first.id}",
    )


def _adapter_now(models: RoundModel) -> int | None:
    return models.new_adapter_id or models.parent_adapter_id


def _rollout(inputs: RunInputs, data: _Data, vlm: Vlm, live: LiveAdapter, heart: Heart) -> Rollout:
    """The strategy's rollout, with the model of each role: this base, or its own one, with its own
    adapter."""

    def model(role: str) -> Vlm:
        found = data.adapters.get(role)
        if inputs.base_of(role) != inputs.base:
            return load_base(inputs, found[1] if found else None, role)
        if role == inputs.role:
            live.switch_on()
        else:
            live.switch_off(adapters_folder() / found[1] if found else None)
        return vlm

    def sampler(role: str) -> Sampler:
        def draw(draws: Sequence[Draw], config: SampleConfig) -> list[Sampled | Failed]:
            return sample_readable(model(role), draws, config, should_stop=stop_when_lost(heart))

        return draw

    models: Models = {role: sampler(role) for role in inputs.strategy.roles}
    items = [(row.item, row.image) for row in data.items]
    return get_procedure(inputs.strategy.name).roll(
        inputs.role,
        models,
        items,
        inputs.settings,
        lambda place, turn: data.marks.of(items[place][0].id, turn),
    )


def _teller(heart: Heart) -> Callable[[ReinforceProgress], None]:
    """Returns the function that tells the heart of each step."""
    curve: list[ReinforcementStep] = []
    time_left = TimeLeft()

    def on_progress(progress: ReinforceProgress) -> None:
        curve.append(_as_step(progress))
        heart.pace.count(progress.n_tokens)
        heart.report(
            ReinforcementProgress(
                step=progress.step,
                n_steps=progress.n_steps,
                seconds_left=time_left.estimate(progress.step, progress.n_steps),
                curve=thin(curve),
            )
        )

    return on_progress


def _meta(inputs: RunInputs, data: _Data, vlm: Vlm, report: ReinforceReport) -> dict[str, object]:
    settings = inputs.settings
    return {
        "base_model": inputs.base.name,
        "base_revision": vlm.revision,
        "parent": data.adapters[inputs.role][1],
        "reference": data.reference,
        "round": inputs.round_number,
        "seed": settings.seed,
        "reinforcement": settings.reinforcement.model_dump(mode="json"),
        "epochs": list(data.plan.epochs),
        "n_items": report.n_items,
        "n_marks": len(data.marks),
    }


def _finish(
    session: Session, inputs: RunInputs, made: _Made | None = None, *, attempt: int
) -> None:
    """Insert the adapter, if one was made, and move the round on, in one transaction."""
    round_queries.lock_round(session, inputs.round_id)
    run_queries.lock_run(session, inputs.run.id)
    if made is None:
        finish_round_run(session, inputs.run.id, attempt=attempt, result=ReinforcementResult())
        return
    add_adapter(
        session,
        inputs,
        attempt=attempt,
        parent_id=made.data.adapters[inputs.role][0],
        revision=made.revision,
        digest=made.digest,
        meta=made.meta,
    )
    finish_round_run(session, inputs.run.id, attempt=attempt, result=_result(made))


def _result(made: _Made) -> ReinforcementResult:
    report = made.report
    return ReinforcementResult(
        n_items=report.n_items,
        n_steps=report.n_steps,
        n_marks=len(made.data.marks),
        epochs=tuple(_epoch(number, report) for number in made.data.plan.epochs),
        trainable_parameters=report.trainable_parameters,
        resumed_from_step=report.resumed_from_step,
        curve=tuple(_as_step(point) for point in thin(report.curve)),
        seconds=round(report.seconds, 2),
    )


def _epoch(number: int, report: ReinforceReport) -> RewardedEpoch:
    points = [point for point in report.curve if point.epoch == number]
    outcomes: Counter[str] = Counter()
    for point in points:
        outcomes.update(point.outcomes)
    return RewardedEpoch(
        epoch=number,
        n_draws=outcomes.total(),
        reward=sum(point.reward for point in points) / len(points) if points else None,
        outcomes=dict(sorted(outcomes.items())),
        n_tokens=sum(point.n_tokens for point in points),
    )


def _as_step(progress: ReinforceProgress) -> ReinforcementStep:
    return ReinforcementStep.model_validate(asdict(progress))
