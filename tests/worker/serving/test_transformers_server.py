"""transformers' own server, for real, with the demo model."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.errors import AppError
from app.kit.settings import get_settings
from app.kit.storage import adapter_folder, image_path
from app.lifecycle import Job, RoundStatus
from app.models import Adapter, Image, Prediction, Round, Run, Sample
from app.round_settings import LoopSettings
from app.services.operation.server_check import check_sampling_server
from tests.support.rounds_in_process import (
    make_picture_project,
    start_first_round,
    tiny_settings,
    work_until_done,
)
from worker.demo.architecture import CHAT_TEMPLATE
from worker.host.models import DEMO_CHECKPOINT
from worker.ml.model.attached import attach_adapter
from worker.ml.model.loading import load_vlm
from worker.ml.model.merge import merge_adapter
from worker.ml.model.vocabulary import vocabulary_size
from worker.ml.sampling.generate import sample
from worker.ml.types import Draw, Prompt, SampleConfig, Sampled
from worker.serving.chat import Prompting
from worker.serving.connection import Server
from worker.serving.sample import connect, sample_served
from worker.serving.served_models import adapter_name

pytestmark = pytest.mark.slow  # it starts another process with torch

COMMAND = "from transformers.cli.transformers import main; main()"
GREEDY = SampleConfig(max_new_tokens=24, top_k_share=0.001)
"""One token of the demo model's vocabulary."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo checkpoint, with the chat template that its processor is built with."""
    folder = tmp_path_factory.mktemp("served") / "demo"
    shutil.copytree(DEMO_CHECKPOINT, folder)
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path_factory.mktemp("hub")
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    options = ["serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *options], env=environment, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 90
        while not _answers(f"http://127.0.0.1:{port}/health"):
            assert process.poll() is None, (home / "log").read_text()
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.3)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(20)


def _answers(address: str) -> bool:
    try:
        return httpx2.get(address, timeout=2).status_code == 200
    except httpx2.TransportError:
        return False


@pytest.fixture
def installed(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The server is that of the installation."""
    monkeypatch.setenv("SAMPLING_SERVER", url)
    get_settings.cache_clear()
    yield
    monkeypatch.undo()
    get_settings.cache_clear()


def settings_of(model: Path, **evaluation: str) -> LoopSettings:
    settings = tiny_settings(model)
    sampling = settings.sampling.model_copy(
        update={"backend": "server", "server_model": str(model)}
    )
    evaluated = settings.evaluation.model_copy(update=evaluation)
    return settings.model_copy(update={"sampling": sampling, "evaluation": evaluated})


def draws_of(images: list[Path]) -> list[Draw]:
    return [
        Draw(Prompt(image, question, answer, ", seeing that"), 0.01, 17 * index)
        for index, image in enumerate(images)
        for question, answer in (
            ("what color is the cube?", None),
            ("what color is the cube?", "red"),
            ("how many things are there?", "three"),
        )
    ]


def stored_images(session: Session) -> list[Path]:
    return [image_path(i.sha256, i.media_type) for i in session.scalars(select(Image).limit(4))]


def test_a_whole_round_through_it(
    database: sessionmaker[Session], model: Path, url: str, installed: None, tmp_path: Path
) -> None:
    assert url in check_sampling_server(get_settings())
    with database.begin() as session:
        project = make_picture_project(session, settings_of(model), tmp_path)
    round_id = start_first_round(database, project)
    work_until_done(database)

    with database() as session:
        assert {run.job: run.error for run in session.scalars(select(Run)) if run.error} == {}
        assert session.get_one(Round, round_id).status is RoundStatus.COMPLETED
        samples = session.scalars(select(Sample)).all()
        assert len(samples) == 24
        traces = [one.trace or {} for one in samples]
        # Its template leaves the last turn open; it gives one text per request and no logprobs.
        assert {trace["prompting"] for trace in traces} == {"native"}
        assert {one.log_probability for one in samples} == {None}
        assert all(one.n_tokens is not None and 1 <= one.n_tokens <= 6 for one in samples)
        seeds = [one.seed & (2**31 - 1) for one in samples]
        assert [trace["seed"] for trace in traces] == seeds
        assert len({one.candidate_id for one in samples}) > 6, "it samples, it is not greedy"
        assert session.scalar(select(func.count()).select_from(Prediction)) == 12

        adapter = session.scalars(select(Adapter)).one()
        images = stored_images(session)

    # What it says greedily is what our own engine says: the prompts are the same tokens.
    vocabulary = vocabulary_size(str(model))
    served = connect(Server(url), str(model), None)
    assert served.abilities.prompting is Prompting.NATIVE
    assert not served.abilities.takes_n
    draws = draws_of(images)
    vlm = load_vlm(str(model), device="cpu")
    ours = [one.text for one in sample(vlm, draws, GREEDY)]
    theirs = sample_served(served, draws, GREEDY, vocabulary=vocabulary)
    assert [one.text for one in theirs if isinstance(one, Sampled)] == ours

    # The same with the adapter, merged, under the name that says which one it is.
    folder = adapter_folder(adapter.digest)
    merged = tmp_path / adapter_name(adapter.digest)
    merge_adapter(str(model), folder, merged, revision=adapter.base_revision)
    served = connect(Server(url), str(merged), (adapter.digest, folder))
    assert served.model == str(merged)
    ours = [one.text for one in sample(attach_adapter(vlm, folder), draws, GREEDY)]
    theirs = sample_served(served, draws, GREEDY, vocabulary=vocabulary)
    assert [one.text for one in theirs if isinstance(one, Sampled)] == ours


def test_it_evaluates_the_base_model_and_says_what_to_do_for_an_adapter(
    database: sessionmaker[Session], model: Path, installed: None, tmp_path: Path
) -> None:
    settings = settings_of(model, backend="server")
    with database.begin() as session:
        project = make_picture_project(session, settings, tmp_path)
    start_first_round(database, project)
    with pytest.raises(AppError, match="illume model merge"):
        work_until_done(database)
    with database() as session:
        by_job = {run.job: run.error for run in session.scalars(select(Run))}
        assert by_job[Job.BASELINE] is None
        assert by_job[Job.GENERATE] is None
        error = by_job[Job.EVALUATE]
        assert error is not None
        assert "neither serves nor loads" in error
        assert session.scalar(select(func.count()).select_from(Prediction)) == 6
