"""The playground: what is asked of two models, the newest try-outs, and one of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from app.kit.sentences import Sentence
from app.lifecycle import LIVE_RUN, Split
from app.models import Item, Json, Project, Run
from app.queries.dataset.items import find_item_by_external_id
from app.queries.projects import tryouts as queries
from app.queries.projects.overview import list_worker_lines
from app.round_settings import LoopSettings
from app.services.rounds import tryouts
from app.services.rounds.tryouts import BASE, Asked, Tried, TryoutResult
from app.web.pages.rounds.side_by_side import side_label
from app.web.pages.runs.runs import RunCard, run_card

N_LISTED = 30


@dataclass(frozen=True)
class TryoutForm:
    """The form as it is shown: with defaults, or with what was typed and why it is refused."""

    item: str = ""
    question: str = ""
    answer: str = ""
    explains: bool = False
    first: int = BASE
    second: int = BASE
    opener: str = ""
    temperature: str = ""
    seed: str = "0"
    error: str = ""


@dataclass(frozen=True)
class TryoutLine:
    """One try-out in the list."""

    run: Run
    asked: Asked
    sides: tuple[Sentence, Sentence]


@dataclass(frozen=True)
class PlaygroundPage:
    project: Project
    form: TryoutForm
    choices: Sequence[tuple[int, Sentence]]
    """The models there are to choose from; empty where no round has trained one yet."""
    found_item: Item | None
    """The item that the form is about, where its id is known."""
    lines: Sequence[TryoutLine]
    kept_days: int
    max_mb: int


@dataclass(frozen=True)
class SaidBy:
    """A model, and what it said."""

    name: Sentence
    tried: Tried


@dataclass(frozen=True)
class TryoutPage:
    project: Project
    run: Run
    asked: Asked
    item: Item | None
    is_held_out: bool
    card: RunCard
    polls: bool
    sides: Sequence[Sentence]
    said: Sequence[SaidBy]
    """What each model said, where it is there."""
    gone_at: datetime | None
    """When it is deleted by itself; None until it is over."""


def playground_page(session: Session, project: Project, form: TryoutForm) -> PlaygroundPage:
    """Builds the form and the list. An opener, a temperature or models that are not chosen yet are
    those of the newest round."""
    rounds = tryouts.list_sides(session, project)
    numbers = sorted(rounds)
    if numbers:
        form = _with_defaults(form, numbers, rounds[numbers[-1]].settings)
    return PlaygroundPage(
        project=project,
        form=form,
        choices=[(number, side_label(number)) for number in (BASE, *numbers)] if numbers else [],
        found_item=find_item(session, project, form.item),
        lines=[_line(run) for run in queries.list_tryouts(session, project.id, limit=N_LISTED)],
        kept_days=tryouts.KEPT.days,
        max_mb=tryouts.MAX_PICTURE_BYTES >> 20,
    )


def _with_defaults(form: TryoutForm, numbers: Sequence[int], stored: Json) -> TryoutForm:
    if form.error:
        return form
    settings = LoopSettings.model_validate(stored)
    return replace(
        form,
        first=numbers[-2] if len(numbers) > 1 else BASE,
        second=numbers[-1],
        opener=settings.sampling.openers[0],
        temperature=f"{settings.evaluation.temperature:g}",
    )


def find_item(session: Session, project: Project, external_id: str) -> Item | None:
    """Returns the item with this id in the data, if it is there."""
    external_id = external_id.strip()
    return find_item_by_external_id(session, project.id, external_id) if external_id else None


def _line(run: Run) -> TryoutLine:
    asked = Asked.read(run.parameters)
    first, second = asked.sides
    return TryoutLine(run, asked, (side_label(first), side_label(second)))


def tryout_page(session: Session, project: Project, run: Run) -> TryoutPage:
    """Builds the page of one try-out."""
    asked = Asked.read(run.parameters)
    item = session.get(Item, asked.item_id) if asked.item_id else None
    tried = TryoutResult.read(run.result).tried
    return TryoutPage(
        project=project,
        run=run,
        asked=asked,
        item=item,
        is_held_out=item is not None and item.split is not Split.TRAIN,
        card=run_card(run, list_worker_lines(session)),
        polls=run.status in LIVE_RUN,
        sides=[side_label(number) for number in asked.sides],
        said=[SaidBy(side_label(n), own) for n, own in zip(asked.sides, tried, strict=False)],
        gone_at=run.finished_at + tryouts.KEPT if run.finished_at else None,
    )
