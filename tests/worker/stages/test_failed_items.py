"""A damaged image in the middle: that item is reported, the rest goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.errors import AppError
from app.kit.storage import image_path, put_image
from app.lifecycle import FailureKind, Job, RoundItemState, RoundStatus, RunStatus, Split
from app.models import (
    Adapter,
    Image,
    Item,
    ItemFailure,
    Prediction,
    Project,
    Round,
    RoundItem,
    Run,
    Sample,
)
from app.queries.rounds.rounds import list_train_item_ids
from app.queries.runs.failures import JobFailures
from app.round_settings import LoopSettings
from app.services.dataset import items
from app.services.rounds import rounds
from app.web.pages.dataset.items import item_page
from app.web.pages.rounds.rounds import round_state
from tests.support.factories import make_image, make_item, png_bytes
from tests.support.models.families import build_llava, build_qwen
from tests.support.rounds_in_process import (
    make_picture_project,
    start_first_round,
    tiny_settings,
    work_until,
    work_until_done,
)


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llava")
    build_llava(folder)
    return folder


@pytest.fixture
def project(database: sessionmaker[Session], tiny_model: Path, tmp_path: Path) -> Project:
    with database.begin() as session:
        return make_picture_project(session, tiny_settings(tiny_model), tmp_path)


class Damage:
    """Cuts images in the store short, and mends them again: the store outlives a test."""

    def __init__(self) -> None:
        self._before: dict[Path, bytes] = {}

    def items(
        self,
        session: Session,
        *numbers: int,
        project_id: int | None = None,
        keeping_length: bool = False,
    ) -> None:
        for number in numbers:
            name = f"picture-{number}"
            named = select(Item).where(Item.external_id == name)
            if project_id is not None:
                named = named.where(Item.project_id == project_id)
            item = session.scalars(named).one()
            image = session.get_one(Image, item.image_sha256)
            path = image_path(image.sha256, image.media_type)
            self._before[path] = path.read_bytes()
            n_bytes = len(self._before[path]) if keeping_length else 50
            path.write_bytes(self._before[path][:50].ljust(n_bytes, b"\0"))

    def mend(self) -> None:
        for path, content in self._before.items():
            path.write_bytes(content)


@pytest.fixture
def damage() -> Iterator[Damage]:
    damage = Damage()
    yield damage
    damage.mend()


def failures_shown(session: Session, round_: Round) -> dict[Job, JobFailures | None]:
    """What the page of a round says of each run's failures."""
    project = session.get_one(Project, round_.project_id)
    return {run.job: run.failures for run in round_state(session, project, round_).runs}


def test_the_item_is_reported_and_the_round_goes_on(
    database: sessionmaker[Session], project: Project, damage: Damage
) -> None:
    with database() as session:
        damage.items(session, 2, 7)  # the third of six train items, and one of validation
    round_id = start_first_round(database, project)
    work_until_done(database)

    with database.begin() as session:
        round_ = session.get_one(Round, round_id)
        assert round_.status is RoundStatus.COMPLETED
        assert session.scalar(select(func.count()).select_from(Sample)) == 20  # of five items
        assert session.scalar(select(func.count()).select_from(Prediction)) == 10  # twice five
        bad = session.scalars(select(Item).where(Item.external_id == "picture-2")).one()
        place = session.scalars(select(RoundItem).where(RoundItem.item_id == bad.id)).one()
        assert place.state is RoundItemState.SET_ASIDE
        others = session.scalars(
            select(RoundItem.state).where(RoundItem.round_id == round_id, RoundItem.id != place.id)
        )
        assert set(others) == {RoundItemState.DONE}

        shown = {
            run.job: run.failures
            for run in round_state(
                session, session.get_one(Project, round_.project_id), round_
            ).runs
        }
        sampled = shown[Job.GENERATE]
        assert sampled is not None
        assert [(line.external_id, line.kind) for line in sampled.lines] == [
            ("picture-2", FailureKind.IMAGE)
        ]
        assert "cannot be read" in sampled.lines[0].reason
        for job in (Job.BASELINE, Job.EVALUATE):
            evaluated = shown[job]
            assert evaluated is not None
            assert [line.external_id for line in evaluated.lines] == ["picture-7"]
        trained_without = shown[Job.TRAIN]
        assert trained_without is not None
        assert [line.external_id for line in trained_without.lines] == ["picture-7"]
        assert "cannot be read" in trained_without.lines[0].reason
        trained = session.scalars(select(Run).where(Run.job == Job.TRAIN)).one()
        assert trained.result["n_unreadable"] == 1  # the validation item; the other is set aside
        assert "cannot be read" in item_page(session, project, bad).image_fault

        # Mended and included again, it is sampled by the next round.
        damage.mend()
        assert bad.id not in list_train_item_ids(session, project.id)
        items.exclude_item(session, bad, reason="damaged", actor=None)
        items.include_item(session, bad, actor=None)
        assert bad.id in list_train_item_ids(session, project.id)


def test_too_many_failures_fail_the_run_and_a_retry_goes_on(
    database: sessionmaker[Session], project: Project, damage: Damage
) -> None:
    with database() as session:
        damage.items(session, 0, 1, 3, 5)
    round_id = start_first_round(database, project)
    with pytest.raises(AppError, match="too many to go on"):
        work_until_done(database)

    with database.begin() as session:
        round_ = session.get_one(Round, round_id)
        assert round_.status is RoundStatus.GENERATING
        run = session.scalars(select(Run).where(Run.job == Job.GENERATE)).one()
        assert run.status is RunStatus.FAILED
        assert run.error is not None
        assert run.error.startswith("4 of 6 items could not be done, too many to go on without")
        assert "cannot be read" in run.error
        # What the failing shard wrote is not kept, and its items wait.
        assert session.scalar(select(func.count()).select_from(ItemFailure)) == 3
        damage.mend()
        rounds.retry_round(session, round_, actor=None)
    work_until_done(database)
    with database() as session:
        assert session.get_one(Round, round_id).status is RoundStatus.COMPLETED


def add_strip(session: Session, project: Project, split: Split) -> Item:
    """An item on a strip that Qwen's processor refuses, stored before imports looked at that."""
    content = png_bytes((9, 9, len(split)), (10, 2100))
    put_image(content, "image/png")
    image = make_image(session, content=content, size=(10, 2100))
    return make_item(
        session,
        project,
        image=image,
        split=split,
        external_id=f"strip-{split}",
        gold_rationales=["it is a strip"],
    )


def gold_settings(model: Path) -> LoopSettings:
    """Training on the gold texts: what a run sets aside in sampling is trained on all the same."""
    settings = tiny_settings(model)
    training = settings.training.model_copy(update={"source": "gold"})
    return settings.model_copy(update={"training": training})


@pytest.mark.parametrize("n_processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_picture_that_the_processor_refuses_costs_its_own_rows_in_training(
    database: sessionmaker[Session], tmp_path: Path, n_processes: int
) -> None:
    build_qwen(tmp_path / "model")
    settings = gold_settings(tmp_path / "model")
    training = settings.training.model_copy(update={"processes": n_processes})
    settings = settings.model_copy(update={"training": training})
    with database.begin() as session:
        project = make_picture_project(session, settings, tmp_path, n_train=8)
        add_strip(session, project, Split.TRAIN)
        add_strip(session, project, Split.VALIDATION)
    round_id = start_first_round(database, project)
    work_until_done(database)
    with database() as session:
        assert [run.error for run in session.scalars(select(Run)) if run.error] == []
        round_ = session.get_one(Round, round_id)
        assert round_.status is RoundStatus.COMPLETED
        shown = {
            run.job: run.failures
            for run in round_state(
                session, session.get_one(Project, round_.project_id), round_
            ).runs
        }
        without = shown[Job.TRAIN]
        assert without is not None
        assert {line.external_id for line in without.lines} == {"strip-train", "strip-validation"}
        assert all("aspect ratio" in line.reason for line in without.lines)
        trained = session.scalars(select(Run).where(Run.job == Job.TRAIN)).one()
        assert trained.result["n_unreadable"] == 2
        assert trained.result["n_rows"] == 16  # two gold texts of each of the others


@pytest.mark.slow
def test_too_many_bad_pictures_fail_the_training_and_a_retry_goes_on(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path, damage: Damage
) -> None:
    """Damaged between sampling and training; excluding them, or mending, is enough."""
    with database.begin() as session:
        project = make_picture_project(session, gold_settings(tiny_model), tmp_path)
    round_id = start_first_round(database, project)
    work_until(database, Job.TRAIN)
    with database() as session:
        damage.items(session, 0, 1, 3, 5)
    with pytest.raises(AppError, match="cannot be trained on"):
        work_until_done(database)
    with database.begin() as session:
        run = session.scalars(select(Run).where(Run.job == Job.TRAIN)).one()
        assert run.error is not None
        assert run.error.startswith("4 of 9 items cannot be trained on, too many to go on without")
        assert "picture-0: The image" in run.error
        for item in session.scalars(
            select(Item).where(Item.external_id.in_(["picture-0", "picture-1"]))
        ):
            items.exclude_item(session, item, reason="damaged", actor=None)
        rounds.retry_round(session, session.get_one(Round, round_id), actor=None)
    work_until_done(database)
    with database() as session:
        assert session.get_one(Round, round_id).status is RoundStatus.COMPLETED
        result = session.scalars(
            select(Run.result).where(Run.job == Job.TRAIN).order_by(Run.id.desc())
        ).first()
        assert result is not None
        assert (result["n_left_out"], result["n_unreadable"], result["n_rows"]) == (4, 8, 4)


@pytest.mark.slow
def test_what_is_found_in_the_training_costs_what_it_costs_when_it_is_found_before(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path, damage: Damage
) -> None:
    """A file that was cut short is left out before the first step; one of the right length is found
    when it is needed. Both trainings end with the same adapter."""
    found = []
    for keeping_length in (False, True):
        with database.begin() as session:
            project = make_picture_project(session, gold_settings(tiny_model), tmp_path)
            project_id = project.id
        start_first_round(database, project)
        work_until(database, Job.TRAIN)
        with database() as session:
            damage.items(session, 1, project_id=project_id, keeping_length=keeping_length)
        work_until(database, Job.EVALUATE)
        damage.mend()
        with database() as session:
            adapter = session.scalars(select(Adapter).where(Adapter.project_id == project_id)).one()
            run = session.get_one(Run, adapter.run_id)
            assert (run.result["n_left_out"], run.result["n_rows"]) == (1, 10)
            assert [entry["external_id"] for entry in run.result["left_out"]] == ["picture-1"]
            found.append(adapter.digest)
        work_until_done(database)
    assert found[0] == found[1]
