"""Who is asking, and which installation: addresses behind proxies, cookies on a shared host."""

from collections.abc import Iterator

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.testclient import TestClient

from app.kit.errors import SetupError
from app.kit.settings import Settings, get_settings
from app.main import create_app
from app.supervisor.commands import web_command
from app.web.http.sessions import Cookies


@pytest.fixture
def asked_from(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    def ask(trusted: str, peer: str, **headers: str) -> str:
        monkeypatch.setenv("TRUSTED_PROXIES", trusted)
        get_settings.cache_clear()
        app = create_app()

        @app.get("/who")
        def who(request: Request) -> Response:
            assert request.client is not None
            return PlainTextResponse(f"{request.url.scheme} {request.client.host}")

        with TestClient(app, client=(peer, 50000)) as client:
            return client.get("/who", headers=headers).text

    yield ask
    monkeypatch.undo()
    get_settings.cache_clear()


SAID = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize(
    ("trusted", "peer", "seen"),
    [
        ("", "127.0.0.1", "http 127.0.0.1"),  # nobody is believed, this machine neither
        ("", "172.18.0.1", "http 172.18.0.1"),
        ("172.16.0.0/12", "172.18.0.1", "https 198.51.100.7"),  # the nearest that is no proxy
        ("172.16.0.0/12, 198.51.100.7", "172.18.0.1", "https 203.0.113.9"),
        ("10.0.0.1", "172.18.0.1", "http 172.18.0.1"),
        ("::1", "::1", "https 198.51.100.7"),
    ],
)
def test_only_trusted_proxies_say_who_is_asking(
    asked_from: object, trusted: str, peer: str, seen: str
) -> None:
    assert asked_from(trusted, peer, **SAID) == seen  # type: ignore[operator]


@pytest.mark.parametrize("wrong", ["proxy.example.org", "10.0.0.300", "*", "10.0.0.1/8"])
def test_a_proxy_is_named_by_its_address(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", wrong)
    get_settings.cache_clear()
    try:
        with pytest.raises(SetupError, match=r"TRUSTED_PROXIES.*is no address or network"):
            get_settings()
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()


def test_uvicorn_believes_nobody_by_itself() -> None:
    assert "--no-proxy-headers" in web_command(Settings())


def test_two_installations_on_one_host_have_cookies_of_their_own() -> None:
    one, other, again = (Cookies.of(Settings(secret_key=letter * 40)) for letter in "aba")
    names = {one.session_name, one.flash_name, one.known_name}
    assert names.isdisjoint({other.session_name, other.flash_name, other.known_name})
    assert names == {again.session_name, again.flash_name, again.known_name}
    assert all("a" * 5 not in name for name in names)
