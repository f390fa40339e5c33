"""What `illume check` says of the sampling server."""

import pytest

from app.kit.errors import SetupError
from app.kit.settings import Settings
from app.services.operation.server_check import check_sampling_server
from tests.support.models.small_server import SmallServer, running


def settings(**given: str) -> Settings:
    return Settings(**given)  # type: ignore[arg-type]


def test_without_a_server_all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAMPLING_SERVER", raising=False)
    assert "none is set" in check_sampling_server(settings())


def test_its_models_are_listed() -> None:
    with running(SmallServer(models=("tiny", "large"), key="key-of-the-server")) as server:
        said = check_sampling_server(
            settings(
                sampling_server=server.url.removesuffix("/v1"),  # with and without the version
                sampling_server_key="key-of-the-server",
            )
        )
    assert said == f"{server.url} answers and lists tiny, large"


def test_a_server_that_lists_nothing_is_no_fault() -> None:
    with running(SmallServer(models=())) as server:
        assert "lists no model" in check_sampling_server(settings(sampling_server=server.url))


def test_a_wrong_key_and_a_closed_port_say_how_to_mend_them() -> None:
    with running(SmallServer(key="key-of-the-server")) as server:
        with pytest.raises(SetupError, match="SAMPLING_SERVER_KEY") as refused:
            check_sampling_server(
                settings(sampling_server=server.url, sampling_server_key="another-key")
            )
        assert "another-key" not in refused.value.message
    with pytest.raises(SetupError, match="does not answer"):
        check_sampling_server(settings(sampling_server=server.url))
