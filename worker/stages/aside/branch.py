"""Play a draw on from a turn that a person corrected, while they wait for it."""

import time

from sqlalchemy.orm import Session

from app.kit.errors import AppError
from app.kit.storage import image_path
from app.queries.judging import branches as queries
from app.services.judging import branches
from worker.host.heart import Heart
from worker.host.persist import persist
from worker.ml.types import Failed
from worker.stages.base import prove_bases
from worker.stages.inputs import load_inputs
from worker.stages.sampler import open_models
from worker.strategies import get_procedure
from worker.strategies.contract import Fork


def branch(run_id: int, attempt: int, heart: Heart) -> None:
    """Make the branch of a run with the models that its draw came from. A second try after a crash
    makes the same one. Where nobody waits for it any more, nothing is sampled and nothing stored.
    """
    fork = persist(lambda session: _find_fork(session, run_id, attempt))
    if fork is None:
        return
    inputs = persist(lambda session: load_inputs(session, run_id))
    adapters = persist(
        lambda session: inputs.list_adapters(session, lambda models: models.parent_adapter_id)
    )
    adapter = adapters[inputs.role]
    prove_bases(inputs, heart)
    models = open_models(inputs, inputs.settings.sampling.backend, adapters, heart)
    started = time.monotonic()
    made = get_procedure(inputs.strategy.name).branch(models, fork, inputs.settings)
    seconds = time.monotonic() - started
    if isinstance(made, Failed):
        raise AppError(made.reason)
    persist(
        lambda session: branches.store_branch(
            session,
            run_id,
            attempt=attempt,
            made=made,
            adapter_id=adapter[0] if adapter else None,
            seconds=seconds,
        )
    )


def _find_fork(session: Session, run_id: int, attempt: int) -> Fork | None:
    asked = branches.find_wanted(session, run_id)
    if asked is None:
        branches.drop_branch(session, run_id, attempt=attempt)
        return None
    sample, item, image = queries.get_parent(session, asked)
    return Fork(
        item=item,
        picture=image_path(image.sha256, image.media_type),
        opener=sample.prompt,
        temperature=sample.temperature,
        seed=sample.seed,
        trace=sample.trace or {},
        turn=asked.turn,
        observed=asked.correction,
    )
