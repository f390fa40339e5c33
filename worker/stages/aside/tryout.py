"""Ask two models about one picture, while an admin waits for what they say."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.orm import Session

from app.kit.errors import AppError, LostRun, NotFound
from app.kit.storage import image_path
from app.models import Image, Item, Project, Round, Run
from app.queries.projects.tryouts import find_picture
from app.queries.rounds.bases import find_pins
from app.queries.runs.runs import get_run
from app.round_settings import LoopSettings
from app.same_text import is_same_answer
from app.services.rounds import tryouts
from app.services.rounds.tryouts import BASE, Asked, Tried
from app.strategies import list_bases
from worker.host.heart import Heart
from worker.host.persist import persist
from worker.stages.inputs import RunInputs
from worker.stages.sampler import Adapters, open_models
from worker.strategies import get_procedure
from worker.strategies.contract import Asked as AskedItem

ITEM_ID = 0
"""Of the item that stands for what is asked: it is in no table."""


@dataclass(frozen=True)
class _Side:
    """A model that is asked: how, and with which adapters."""

    inputs: RunInputs
    adapters: Adapters


@dataclass(frozen=True)
class _Tryout:
    asked: Asked
    item: Item
    picture: Path | bytes
    """The path of an item's picture, or the bytes of one that was sent."""
    sides: tuple[_Side, ...]


def try_models(run_id: int, attempt: int, heart: Heart) -> None:
    """Ask the models of a try-out one after the other, and store what both said. A second try after
    a crash says the same. What one of them cannot do does not keep the other from it."""
    tryout = persist(lambda session: _load(session, run_id))
    with _as_file(tryout.picture) as picture:
        tried = [_ask(side, tryout, picture, heart) for side in tryout.sides]
    persist(lambda session: tryouts.store_tried(session, run_id, attempt=attempt, tried=tried))


def _ask(side: _Side, tryout: _Tryout, picture: Path, heart: Heart) -> Tried:
    asked, settings = tryout.asked, _settings(side.inputs.settings, tryout.asked)
    models = open_models(side.inputs, settings.evaluation.backend, side.adapters, heart)
    procedure = get_procedure(side.inputs.strategy.name)
    ask = procedure.explain if asked.explains else procedure.answer
    started = time.monotonic()
    answered = ask(models, [AskedItem(tryout.item, picture)], settings)
    digests = tuple(adapter[1] for adapter in side.adapters.values() if adapter)
    seconds = round(time.monotonic() - started, 2)
    said = answered.said.get(ITEM_ID)
    if said is None:
        reason = answered.failures[0].reason if answered.failures else "The model said nothing."
        return Tried(adapters=digests, seconds=seconds, error=reason)
    is_right = is_same_answer(said.answer, asked.answer) if asked.answer else None
    return Tried(
        answer=said.answer,
        rationale=said.rationale,
        is_right=None if asked.explains else is_right,
        adapters=digests,
        seconds=seconds,
    )


def _settings(settings: LoopSettings, asked: Asked) -> LoopSettings:
    """Those of the round, but for what the admin chose."""
    sampling = settings.sampling.model_copy(update={"openers": (asked.opener,)})
    evaluation = settings.evaluation.model_copy(update={"temperature": asked.temperature})
    changes = {"seed": asked.seed, "sampling": sampling, "evaluation": evaluation}
    return settings.model_copy(update=changes)


def _load(session: Session, run_id: int) -> _Tryout:
    try:
        run = get_run(session, run_id)
    except NotFound as error:
        raise LostRun(f"Run {run_id} was removed.") from error
    asked = Asked.read(run.parameters)
    project = session.get_one(Project, run.project_id)
    stored = session.get(Item, asked.item_id) if asked.item_id else None
    item = Item(
        id=ITEM_ID,
        # Seeds are made of it: an item says in the playground what it says in an evaluation.
        external_id=stored.external_id if stored else "playground",
        question=asked.question,
        answer=asked.answer,
    )
    return _Tryout(
        asked, item, _picture(session, run, stored), _sides(session, run, project, asked)
    )


def _picture(session: Session, run: Run, item: Item | None) -> Path | bytes:
    if item is not None:
        image = session.get_one(Image, item.image_sha256)
        return image_path(image.sha256, image.media_type)
    sent = find_picture(session, run.id)
    if sent is None:
        raise AppError("The picture of this try-out is gone. Send it again.")
    return sent.content


def _sides(session: Session, run: Run, project: Project, asked: Asked) -> tuple[_Side, ...]:
    rounds = tryouts.list_sides(session, project)
    # The base is asked as the round beside it is.
    beside = next((rounds[number] for number in asked.sides if number in rounds), None)
    found = []
    for number in asked.sides:
        round_ = beside if number == BASE else rounds.get(number)
        if round_ is None:
            raise AppError("The round that was to be tried has no adapter any more.")
        inputs = _inputs(session, run, round_)
        adapters: Adapters = dict.fromkeys(inputs.strategy.roles)
        if number != BASE:
            adapters = inputs.list_adapters(session, lambda models: models.new_adapter_id)
        found.append(_Side(inputs, adapters))
    return tuple(found)


def _inputs(session: Session, run: Run, round_: Round) -> RunInputs:
    settings = LoopSettings.model_validate(round_.settings)
    return RunInputs(
        run=run,
        round_id=round_.id,
        round_number=round_.number,
        project_id=round_.project_id,
        settings=settings,
        pins=find_pins(session, round_.project_id, list_bases(settings)),
        own_strategy=settings.strategy,
    )


@contextmanager
def _as_file(picture: Path | bytes) -> Iterator[Path]:
    """Yields where the picture lies while the models look at it."""
    if isinstance(picture, Path):
        yield picture
        return
    with TemporaryDirectory(prefix="illume-tryout-") as folder:
        path = Path(folder) / "picture"
        path.write_bytes(picture)
        yield path
