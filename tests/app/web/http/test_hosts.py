"""Names that the installation answers to: another site's name, led here by its DNS, is refused."""

import socket
from collections.abc import Callable, Iterator

import pytest
from starlette.testclient import TestClient

from app.cli.operation.operate import _with_address
from app.kit.errors import SetupError
from app.kit.settings import get_settings
from app.main import create_app
from tests.support.browsing import text_of

PUBLIC = "https://illume.example.org:8443"
Ask = Callable[..., TestClient]
ANSWERED = 307  # by the mark that browsers ask for


@pytest.fixture
def started(services: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """A server with these settings."""

    def start(**settings: str) -> TestClient:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        return TestClient(create_app(), follow_redirects=False)

    yield start
    monkeypatch.undo()
    get_settings.cache_clear()


def status(client: TestClient, host: str, path: str = "/favicon.ico") -> int:
    return int(client.get(path, headers={"Host": host}).status_code)


LOCAL = (
    *("127.0.0.1:8000", "localhost", "LOCALHOST:8000", "demo.localhost", "[::1]:8000", "[::1]"),
    *("192.168.1.20:8000", "203.0.113.9", "[2001:db8::7]:8000"),
    *("gpu1:8000", "gpu1.local", "Gpu1.Local.:8000", "gpu1.home.arpa", "gpu1.internal"),
)
FOREIGN = (
    *("evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example"),
    *("local.evil.example", "evil-local.example", "illume.example.org.evil.example"),
)
MALFORMED = ("", "a b", "user@localhost", "localhost/x", "localhost:x", "[localhost]", "[", "::1")


@pytest.mark.parametrize("host", LOCAL)
def test_without_a_setting_addresses_and_local_names_are_answered(started: Ask, host: str) -> None:
    assert status(started(), host) == ANSWERED


@pytest.mark.parametrize("host", [*FOREIGN, *MALFORMED])
@pytest.mark.parametrize("public_url", ["", PUBLIC])
def test_names_of_others_are_refused(started: Ask, host: str, public_url: str) -> None:
    client = started(PUBLIC_URL=public_url) if public_url else started()
    assert status(client, host) == 421


def test_two_names_at_once_are_refused(started: Ask) -> None:
    headers = [("Host", "localhost"), ("Host", "evil.example")]
    assert started().get("/favicon.ico", headers=headers).status_code == 421


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/sign-in", "/join/token", "/sign-in/link/token", "/nowhere"])
def test_nothing_is_done_for_a_refused_name(started: Ask, method: str, path: str) -> None:
    response = started().request(method, path, headers={"Host": "evil.example"})
    assert response.status_code == 421
    assert "evil.example is not known" in text_of(response, ".lede")
    assert "ALLOWED_HOSTS" in text_of(response, ".lede")
    assert "Set-Cookie" not in response.headers


def test_a_refusal_is_one_for_scripts_too(started: Ask) -> None:
    headers = {"Host": "evil.example", "Accept": "application/json"}
    response = started(PUBLIC_URL=PUBLIC).get("/", headers=headers)
    assert response.status_code == 421
    assert PUBLIC in response.json()["detail"]
    assert "ALLOWED_HOSTS" in response.json()["detail"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("illume.example.org:8443", ANSWERED),
        ("illume.example.org", ANSWERED),  # as many proxies hand it on
        ("ILLUME.example.org.", ANSWERED),
        ("127.0.0.1:8000", ANSWERED),
        ("localhost:8000", ANSWERED),
        ("[::1]:8000", ANSWERED),
        ("192.168.1.20", 421),
        ("gpu1.local", 421),
        ("www.illume.example.org", 421),
        ("example.org", 421),
    ],
)
def test_with_a_public_address_its_name_is_answered_alone(
    started: Ask, host: str, expected: int
) -> None:
    assert status(started(PUBLIC_URL=PUBLIC), host) == expected


def test_a_public_name_may_be_written_in_any_letters(started: Ask) -> None:
    client = started(PUBLIC_URL="https://M\u00fcnchen.example.org")
    assert status(client, "xn--mnchen-3ya.example.org") == ANSWERED


def test_a_name_that_the_server_is_started_with_is_answered(
    services: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBLIC_URL", PUBLIC)
    monkeypatch.setenv("HOST", "127.0.0.1")
    monkeypatch.setenv("PORT", "8000")
    settings = _with_address("labs.example.org", 8123)
    client = TestClient(create_app(), follow_redirects=False)
    assert (settings.host, settings.port) == ("labs.example.org", 8123)
    assert status(client, "labs.example.org:8123") == ANSWERED
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.mark.parametrize("public_url", ["", PUBLIC])
def test_names_of_the_setting_are_answered(started: Ask, public_url: str) -> None:
    names = {"ALLOWED_HOSTS": "web, Labs.Example.org,192.168.1.20"}
    client = started(**names, **({"PUBLIC_URL": public_url} if public_url else {}))
    assert status(client, "web:8000") == ANSWERED
    assert status(client, "labs.example.org") == ANSWERED
    assert status(client, "192.168.1.20:8000") == ANSWERED
    assert status(client, "other.example.org") == 421


@pytest.mark.parametrize("wrong", ["*", "*.example.org", "https://example.org", "a b"])
def test_a_name_of_the_setting_is_a_name(
    started: Ask, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", wrong)
    get_settings.cache_clear()
    with pytest.raises(SetupError, match=r"ALLOWED_HOSTS.*is no name of a machine"):
        get_settings()


def test_the_name_of_this_machine_is_answered(started: Ask) -> None:
    assert status(started(), f"{socket.gethostname()}:8000") == ANSWERED


@pytest.mark.parametrize("public_url", ["", PUBLIC])
def test_probes_and_styles_are_for_everybody(started: Ask, public_url: str) -> None:
    client = started(PUBLIC_URL=public_url) if public_url else started()
    for path in ("/health/live", "/static/app.css"):
        assert status(client, "10.0.0.7:8000", path) == 200
        assert status(client, "evil.example", path) == 200
