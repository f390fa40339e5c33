"""Loads what every stage of a round reads first, and what a training learns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from app.kit.storage import image_path
from app.lifecycle import Job, Split
from app.models import Adapter, Image, Round, RoundModel, Run
from app.opinions import Box
from app.queries.rounds import questions
from app.queries.rounds import rounds as round_queries
from app.queries.rounds.bases import find_pins
from app.queries.rounds.rewards import list_boxes, list_untaught
from app.queries.rounds.rounds import get_round_model
from app.queries.rounds.training_items import ManifestRow, list_dropped_questions, list_items
from app.queries.runs.runs import get_run
from app.round_settings import LoopSettings, NamedBase
from app.strategies import DIRECT, Strategy, get_strategy, list_bases
from app.unwanted_looks import Look, look_of
from worker.host.heart import Heart
from worker.ml.types import Example
from worker.strategies import get_procedure
from worker.strategies.contract import Lesson

MAX_VALIDATION_ROWS = 512


@dataclass(frozen=True)
class RunInputs:
    run: Run
    round_id: int
    round_number: int
    project_id: int
    settings: LoopSettings
    pins: Mapping[NamedBase, str]
    """The contents of the bases that the project began with; none of one before its first load."""
    own_strategy: str | None = None
    """Of a run beside the rounds, which names no strategy of its own."""

    @property
    def strategy(self) -> Strategy:
        """The strategy of the run; a base model is measured by the direct one."""
        return get_strategy(self.run.strategy or self.own_strategy or DIRECT.name)

    @property
    def role(self) -> str:
        """The role that the run is about: the first one of the strategy where it names none."""
        return self.run.role or self.strategy.roles[0]

    @property
    def base(self) -> NamedBase:
        """The base that the role of the run stands on."""
        return self.base_of(self.role)

    def base_of(self, role: str) -> NamedBase:
        """Returns the base that a role of the run's strategy stands on."""
        return self.strategy.base_of(self.settings, role)

    def revision_of(self, base: NamedBase) -> str | None:
        """Returns the content that is pinned of a base; before its first load, what the settings
        ask for."""
        return self.pins.get(base) or base.revision

    @property
    def loaded(self) -> tuple[NamedBase, ...]:
        """The bases that the run needs at once: that of its role where it trains; else those of all
        strategies of its round, which may sample in turn."""
        if self.run.job is Job.TRAIN:
            return (self.base,)
        return list_bases(self.settings)

    def get_models(self, session: Session, role: str) -> RoundModel:
        """Returns the adapters that the round samples from and makes for a role of the run's
        strategy."""
        return get_round_model(session, self.round_id, strategy=self.strategy.name, role=role)

    def list_adapters(
        self, session: Session, choose: Callable[[RoundModel], int | None]
    ) -> dict[str, tuple[int, str] | None]:
        """Returns, by role of the strategy, the adapter whose id `choose` takes from the role's
        models; None for the base model itself."""
        return {
            role: self.find_adapter(session, choose(self.get_models(session, role)))
            for role in self.strategy.roles
        }

    def find_adapter(self, session: Session, adapter_id: int | None) -> tuple[int, str] | None:
        """(id, digest) of an adapter, or None for the base model itself."""
        if adapter_id is None:
            return None
        adapter = session.get_one(Adapter, adapter_id)
        return adapter.id, adapter.digest


def load_inputs(session: Session, run_id: int) -> RunInputs:
    run = get_run(session, run_id)
    round_ = session.get_one(Round, run.round_id)
    settings = LoopSettings.model_validate(round_.settings)
    return RunInputs(
        run=run,
        round_id=round_.id,
        round_number=round_.number,
        project_id=round_.project_id,
        settings=settings,
        pins=find_pins(session, round_.project_id, list_bases(settings)),
    )


def stop_when_lost(heart: Heart) -> Callable[[], bool]:
    """Returns the question of every step of worker.ml: is the run lost or cancelled?"""
    return heart.lost.is_set


# --- What a training learns -----------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """What is known of images beside their items, by image: what the model said of each when it was
    to ask about it, and the questions that it asked and that were dropped. boxes: where people drew
    that it should have looked, by item. untaught: the looks whose observations people found untrue,
    each with what is taught instead, None where that is nothing. useless: the questions that people
    found useless, as looks without an observation."""

    descriptions: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, Sequence[str]] = field(default_factory=dict)
    boxes: Mapping[int, Sequence[Box]] = field(default_factory=dict)
    untaught: Mapping[Look, str | None] = field(default_factory=dict)
    useless: frozenset[Look] = frozenset()

    def observations_of(self, row: ManifestRow) -> tuple[str | None, ...]:
        """Returns what was observed in the turns of a row, as far as an observer is to learn it;
        nothing where all of it is as it stands there."""
        looks = [look_of(row.item.id, turn.asked, turn.observed) for turn in row.turns]
        if self.untaught.keys().isdisjoint(looks):
            return ()
        return tuple(
            self.untaught.get(look, turn.observed)
            for look, turn in zip(looks, row.turns, strict=True)
        )

    def useless_of(self, row: ManifestRow) -> frozenset[int]:
        """Returns the places, from 0, of a row's turns whose questions people found useless."""
        return frozenset(
            place
            for place, turn in enumerate(row.turns)
            if look_of(row.item.id, turn.asked, "") in self.useless
        )


UNKNOWN = Known()


def find_known(
    session: Session, inputs: RunInputs, rows: Sequence[ManifestRow], manifest_of: int
) -> Known:
    """Returns what is known of the images of some rows, where the strategy asks about images, and
    what the manifest names beside them. manifest_of: the run whose manifest they are."""
    boxes, untaught = list_boxes(session, manifest_of), list_untaught(session, manifest_of)
    if inputs.role == inputs.strategy.asking_role:
        useless = frozenset((item_id, asked, "") for item_id, asked, _ in untaught)
        return Known(boxes=boxes, useless=useless)
    if not inputs.strategy.asks_about_images:
        return Known(boxes=boxes, untaught=untaught)
    images = {row.image.sha256 for row in rows}
    return Known(
        questions.list_descriptions(session, inputs.project_id, images),
        list_dropped_questions(session, inputs.project_id, images),
        boxes,
        untaught,
    )


def make_lessons(rows: Sequence[ManifestRow], known: Known = UNKNOWN) -> list[Lesson]:
    """Returns what some rows teach, one for one."""
    return [
        Lesson(
            image=path_of(row.image),
            question=row.item.question,
            answer=row.answer,
            rationale=row.rationale,
            weight=row.weight,
            turns=row.turns,
            observations=known.observations_of(row),
            useless=known.useless_of(row),
            answer_tokens=row.answer_tokens,
            rationale_tokens=row.rationale_tokens,
            description=known.descriptions.get(row.image.sha256),
            dropped=tuple(known.dropped.get(row.image.sha256, ())),
            facts=row.item.facts,
            boxes=tuple(
                (box.left, box.top, box.right, box.bottom)
                for box in known.boxes.get(row.item.id, ())
            ),
        )
        for row in rows
    ]


def teach(
    inputs: RunInputs, rows: Sequence[ManifestRow], lessons: Sequence[Lesson]
) -> list[tuple[Example, ManifestRow]]:
    """Returns the examples that the run's strategy makes of the lessons of some rows for the role
    that learns, each with its row, or with one of those that it is of."""
    procedure = get_procedure(inputs.strategy.name)
    taught = procedure.teach_all(inputs.role, lessons, inputs.settings)
    return [(example, rows[place]) for place, example in taught]


def list_validation(session: Session, project_id: int) -> list[ManifestRow]:
    """Returns the validation items that a training looks at, each with a gold rationale if it has
    one."""
    item_ids = round_queries.list_usable_item_ids(
        session, project_id, Split.VALIDATION, limit=MAX_VALIDATION_ROWS
    )
    return [
        ManifestRow(item, image, item.answer, next(iter(item.gold_rationales), None), weight=1.0)
        for item, image in list_items(session, item_ids)
    ]


def path_of(image: Image) -> Path:
    """Returns where the file of an image lies."""
    return image_path(image.sha256, image.media_type)
