"""Rounds that sample through a server: what is stored, and what happens when it misbehaves."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.errors import AppError
from app.kit.settings import get_settings
from app.lifecycle import FailureKind, Job, RoundItemState, RoundStatus, RunStatus
from app.models import Item, ItemFailure, Project, Round, RoundItem, Run, Sample
from app.round_settings import LoopSettings
from app.services.rounds import rounds
from tests.support.models.families import build_llava
from tests.support.models.small_server import Json, SmallServer, running, words_of
from tests.support.rounds_in_process import (
    make_picture_project,
    start_first_round,
    tiny_settings,
    work_until_done,
)
from worker.host.execute import execute
from worker.host.heart import Heart

Start = Callable[[SmallServer], SmallServer]


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llava")
    build_llava(folder)
    return folder


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a server and makes it that of the installation."""
    with ExitStack() as stack:

        def run(server: SmallServer) -> SmallServer:
            stack.enter_context(running(server))
            monkeypatch.setenv("SAMPLING_SERVER", server.url)
            monkeypatch.setenv("SAMPLING_SERVER_SECONDS", "1")
            monkeypatch.setenv("HEARTBEAT_SECONDS", "0.1")
            get_settings.cache_clear()
            return server

        yield run
    monkeypatch.undo()
    get_settings.cache_clear()


def served_settings(model: Path) -> LoopSettings:
    settings = tiny_settings(model)
    sampling = settings.sampling.model_copy(update={"backend": "server"})
    return settings.model_copy(update={"sampling": sampling})


@pytest.fixture
def project(database: sessionmaker[Session], tiny_model: Path, tmp_path: Path) -> Project:
    with database.begin() as session:
        return make_picture_project(session, served_settings(tiny_model), tmp_path)


def test_a_round_is_sampled_by_the_server(
    database: sessionmaker[Session], project: Project, start: Start
) -> None:
    server = start(SmallServer())
    round_id = start_first_round(database, project)
    work_until_done(database)
    with database() as session:
        assert session.get_one(Round, round_id).status is RoundStatus.COMPLETED
        samples = session.scalars(select(Sample)).all()
        assert len(samples) == 24
        assert {sample.log_probability for sample in samples} == {-0.75}
        traces = [sample.trace or {} for sample in samples]
        assert {trace["model"] for trace in traces} == {"tiny"}
        assert {trace["prompting"] for trace in traces} == {"continued"}
        # The seed sent is that of the first draw of a request, in 31 bits.
        firsts = [s for s, trace in zip(samples, traces, strict=True) if trace["position"] == 0]
        assert len(firsts) == 12
        assert all(s.trace and s.trace["seed"] == s.seed & (2**31 - 1) for s in firsts)
    assert len(server.of_draws()) == 12
    assert all(words_of(body)[0] == "what color is it?" for body in server.of_draws())


def test_an_item_that_the_server_refuses_is_set_aside_and_one_it_fails_on_is_not(
    database: sessionmaker[Session], project: Project, start: Start
) -> None:
    order: list[str] = []

    def trouble(body: Json, n_before: int) -> str | None:
        if body["max_tokens"] == 1:
            return None
        picture = body["messages"][0]["content"][0]["image_url"]["url"]
        if picture not in order:
            order.append(picture)
        return {0: "400", 1: "hang"}.get(order.index(picture))

    start(SmallServer(trouble=trouble))
    round_id = start_first_round(database, project)
    work_until_done(database)
    with database() as session:
        assert session.get_one(Round, round_id).status is RoundStatus.COMPLETED
        assert session.scalar(select(func.count()).select_from(Sample)) == 16
        failed = {
            kind: (state, reason)
            for kind, state, reason in session.execute(
                select(ItemFailure.kind, RoundItem.state, ItemFailure.reason).join(
                    RoundItem, RoundItem.item_id == ItemFailure.item_id
                )
            )
        }
        assert failed[FailureKind.PROMPT][0] is RoundItemState.SET_ASIDE
        assert "status 400" in failed[FailureKind.PROMPT][1]
        assert failed[FailureKind.SERVER][0] is RoundItemState.DONE
        assert "no answer within 1 s" in failed[FailureKind.SERVER][1]


@pytest.mark.slow
def test_a_server_that_goes_away_fails_the_run_and_a_retry_goes_on(
    database: sessionmaker[Session], project: Project, start: Start
) -> None:
    asked: list[Json] = []

    def trouble(body: Json, n_before: int) -> str | None:
        asked.append(body)
        # The first shard (8 draws in 4 requests) goes well.
        return "401" if sum(one["max_tokens"] > 1 for one in asked) > 4 else None

    server = start(SmallServer(trouble=trouble))
    round_id = start_first_round(database, project)
    with pytest.raises(AppError, match="refuses the key"):
        work_until_done(database)
    with database.begin() as session:
        run = session.scalars(select(Run).where(Run.job == Job.GENERATE)).one()
        assert run.status is RunStatus.FAILED
        assert session.scalar(select(func.count()).select_from(Sample)) == 8
        rounds.retry_round(session, session.get_one(Round, round_id), actor=None)
    server.trouble = lambda body, n_before: None
    work_until_done(database)
    with database() as session:
        assert session.get_one(Round, round_id).status is RoundStatus.COMPLETED
        assert session.scalar(select(func.count()).select_from(Sample)) == 24
        n_items = session.scalar(select(func.count(Sample.item_id.distinct())))
        assert n_items == 6


def test_cancelling_a_round_stops_its_worker_while_the_server_hangs(
    database: sessionmaker[Session],
    project: Project,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hangs = threading.Event()

    def trouble(body: Json, n_before: int) -> str | None:
        if body["max_tokens"] == 1:
            return None
        hangs.set()
        return "hang"

    start(SmallServer(trouble=trouble))
    monkeypatch.setenv("SAMPLING_SERVER_SECONDS", "100")
    get_settings.cache_clear()
    round_id = start_first_round(database, project)
    with database() as session:
        run_id = session.scalars(select(Run.id).where(Run.job == Job.GENERATE)).one()
    heart = Heart(["gpu"], "cpu")
    heart.start()
    worker = threading.Thread(target=execute, args=(run_id, heart))
    worker.start()
    assert hangs.wait(30)
    with database.begin() as session:
        rounds.cancel_round(session, session.get_one(Round, round_id), actor=None)
    worker.join(20)
    heart.stop()
    assert not worker.is_alive()
    with database() as session:
        assert session.scalar(select(func.count()).select_from(Sample)) == 0
        assert session.get_one(Run, run_id).status is RunStatus.CANCELLED


def test_a_worker_without_a_server_says_so(
    database: sessionmaker[Session], project: Project
) -> None:
    start_first_round(database, project)
    with pytest.raises(AppError, match="Set SAMPLING_SERVER"):
        work_until_done(database)
    with database() as session:
        run = session.scalars(select(Run).where(Run.job == Job.GENERATE)).one()
        assert run.error is not None
        assert "SAMPLING_SERVER" in run.error
        assert session.scalars(select(Item.excluded_at)).first() is None
