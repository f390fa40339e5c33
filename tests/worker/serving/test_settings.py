"""The four settings of a sampling server, each by what the server notices of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.kit.settings import get_settings
from tests.support.models.small_server import Json, SmallServer
from tests.worker.serving.test_sample import CONFIG, Start, draws_of, images, start, texts
from worker.ml.types import Failed, Sampled
from worker.serving.errors import ServerError
from worker.serving.sample import connect, sample_served
from worker.stages.sampler import sampling_server

__all__ = ["images", "start"]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch
    monkeypatch.undo()
    get_settings.cache_clear()


def draw(images: list[Path], *, n: int = 1) -> list[Sampled | Failed]:
    """What a model worker draws with the settings of its environment."""
    get_settings.cache_clear()
    served = connect(sampling_server(get_settings()), "tiny", None)
    return sample_served(served, draws_of(images, n=n), CONFIG, vocabulary=101)


def test_the_address_is_the_server_that_is_asked(
    settings: pytest.MonkeyPatch, start: Start, images: list[Path]
) -> None:
    one, other = start(SmallServer()), start(SmallServer())
    settings.setenv("SAMPLING_SERVER", other.url)
    assert len(texts(draw(images[:1]))) == 2
    assert other.asked
    assert not one.asked


def test_the_key_opens_a_server_that_wants_one(
    settings: pytest.MonkeyPatch, start: Start, images: list[Path]
) -> None:
    settings.setenv("SAMPLING_SERVER", start(SmallServer(key="sesame-sesame")).url)
    settings.delenv("SAMPLING_SERVER_KEY", raising=False)
    with pytest.raises(ServerError, match="SAMPLING_SERVER_KEY"):
        draw(images[:1])
    settings.setenv("SAMPLING_SERVER_KEY", "sesame-sesame")
    assert len(texts(draw(images[:1]))) == 2


def test_requests_are_how_many_are_open_at_once(
    settings: pytest.MonkeyPatch, start: Start, images: list[Path]
) -> None:
    server = start(SmallServer(takes_n=False))
    settings.setenv("SAMPLING_SERVER", server.url)
    settings.setenv("SAMPLING_SERVER_REQUESTS", "1")
    assert len(texts(draw(images[:4], n=3))) == 24
    assert server.most_at_once == 1


def test_seconds_are_how_long_an_answer_is_waited_for(
    settings: pytest.MonkeyPatch, start: Start, images: list[Path]
) -> None:
    """With the usual two minutes for each of its tries this would take four."""

    def hang(body: Json, n_before: int) -> str | None:
        return "hang" if body["max_tokens"] > 1 else None

    settings.setenv("SAMPLING_SERVER", start(SmallServer(trouble=hang)).url)
    settings.setenv("SAMPLING_SERVER_SECONDS", "0.3")
    assert all(isinstance(one, Failed) for one in draw(images[:1]))
