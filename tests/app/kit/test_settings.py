"""Settings come from the environment or from files, and say in one line what is wrong with them."""

import re
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from app.kit.errors import SetupError
from app.kit.public_url import read_public_url
from app.kit.settings import SERVICES_FILE, Settings, get_settings
from tests.architecture.lock import REPOSITORY


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No setting of this machine, and a data folder of the test's own."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(f"{name.upper()}_FILE", raising=False)
    monkeypatch.setenv("ILLUME_HOME", str(tmp_path / "home"))
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def write_services(content: str) -> None:
    home = get_settings().illume_home
    home.mkdir(parents=True, exist_ok=True)
    (home / SERVICES_FILE).write_text(content, encoding="utf-8")


def test_defaults_are_for_a_laptop(tmp_path: Path) -> None:
    settings = get_settings()
    assert settings.is_embedded
    assert (settings.host, settings.base_url) == ("127.0.0.1", "http://127.0.0.1:8000")
    assert settings.store_path == tmp_path / "home" / "store"


def test_environment_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PORT", "9000")
    monkeypatch.setenv("STORE", str(tmp_path / "shared"))
    monkeypatch.setenv("LEASE_MINUTES", "2.5")
    settings = get_settings()
    assert (settings.port, settings.lease_minutes) == (9000, 2.5)
    assert settings.store_path == tmp_path / "shared"


def test_folders_may_be_written_with_a_tilde_or_relative(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ILLUME_HOME", "~/data")
    monkeypatch.setenv("STORE", "store")
    settings = get_settings()
    assert settings.illume_home == tmp_path / "data"
    assert settings.store_path == Path.cwd() / "store"


def test_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("k" * 40 + "\n", encoding="utf-8")
    monkeypatch.setenv("SECRET_KEY_FILE", str(secret))
    assert get_settings().resolve_secret_key() == "k" * 40


def test_value_goes_before_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url = tmp_path / "url"
    url.write_text("redis://file:6379/0", encoding="utf-8")
    monkeypatch.setenv("REDIS_URL_FILE", str(url))
    assert get_settings().redis_url == "redis://file:6379/0"
    get_settings.cache_clear()
    monkeypatch.setenv("REDIS_URL", "redis://value:6379/0")
    assert get_settings().redis_url == "redis://value:6379/0"


def test_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY_FILE", "/nowhere/secret")
    with pytest.raises(SetupError, match="SECRET_KEY_FILE names /nowhere/secret"):
        get_settings()


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("PORT", "eighty", "PORT: .*integer"),
        ("PORT", "70000", "PORT: .*65535"),
        ("LEASE_MINUTES", "0", "LEASE_MINUTES: .*greater than 0"),
        ("LOG_FORMAT", "xml", "LOG_FORMAT: "),
        ("DATABASE_URL", "sqlite:///x.db", "DATABASE_URL: .*postgresql://"),
        ("PUBLIC_URL", "illume.example.org", "PUBLIC_URL: .*https://"),
        ("PUBLIC_URL", "ftp://example.org/illume", "PUBLIC_URL: .*https://"),
        ("PUBLIC_URL", "https:///illume", "PUBLIC_URL: .*names no host"),
        ("PUBLIC_URL", "https://:8000/illume", "PUBLIC_URL: .*names no host"),
        ("PUBLIC_URL", "https://example.org:port", "PUBLIC_URL: .*is no address"),
        ("PUBLIC_URL", "https://[::1/illume", "PUBLIC_URL: .*is no address"),
        ("PUBLIC_URL", "https://ada@example.org/illume", "PUBLIC_URL: .*before the @"),
        ("PUBLIC_URL", "https://ada:word@example.org", "PUBLIC_URL: .*before the @"),
        ("PUBLIC_URL", "https://example.org/illume?x=1", "PUBLIC_URL: .*leave out the \\?"),
        ("PUBLIC_URL", "https://example.org/?", "PUBLIC_URL: .*leave out the \\?"),
        ("PUBLIC_URL", "https://example.org/illume#top", "PUBLIC_URL: .*leave out the \\? or #"),
        ("PUBLIC_URL", "https://example.org/a/../illume", "PUBLIC_URL: .*path of names"),
        ("PUBLIC_URL", "https://example.org/./illume", "PUBLIC_URL: .*path of names"),
        ("PUBLIC_URL", "https://example.org//illume", "PUBLIC_URL: .*path of names"),
        ("PUBLIC_URL", "https://example.org/ill%75me", "PUBLIC_URL: .*path of names"),
        ("PUBLIC_URL", "https://example.org/a;b", "PUBLIC_URL: .*path of names"),
        ("PUBLIC_URL", "https://example.org/bild\u00e4r", "PUBLIC_URL: .*path of names"),
        ("PUBLIC_URL", "https://example.org/the model", "PUBLIC_URL: .*spaces or backslashes"),
        ("PUBLIC_URL", "https://example.org\\illume", "PUBLIC_URL: .*spaces or backslashes"),
        ("PUBLIC_URL", "https://example.org/projects", "PUBLIC_URL: .*begins with /projects"),
        ("PUBLIC_URL", "https://example.org/static/x", "PUBLIC_URL: .*begins with /static"),
    ],
)
def test_bad_value_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, complaint: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SetupError, match=complaint) as refused:
        get_settings()
    assert "\n" not in refused.value.message


def test_refusal_of_a_secret_does_not_print_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "short-and-known")
    monkeypatch.setenv("PORT", "eighty")
    with pytest.raises(SetupError) as refused:
        get_settings()
    assert "short-and-known" not in refused.value.message
    monkeypatch.delenv("PORT")
    assert "short-and-known" not in repr(get_settings())


@pytest.mark.parametrize("prefix", ["postgres://", "postgresql://", "postgresql+psycopg://"])
def test_database_url_may_be_spelled_as_usual(monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    monkeypatch.setenv("DATABASE_URL", f"{prefix}u@h/d")
    assert get_settings().resolve_database_url() == "postgresql+psycopg://u@h/d"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("https://illume.example.org", "https://illume.example.org"),
        ("https://illume.example.org/", "https://illume.example.org"),
        ("https://example.org/illume", "https://example.org/illume"),
        (" HTTPS://example.org/tools/illume-2// ", "https://example.org/tools/illume-2"),
        ("http://[::1]:8080/~ada/illume/", "http://[::1]:8080/~ada/illume"),
    ],
)
def test_links_are_made_with_the_public_address(
    monkeypatch: pytest.MonkeyPatch, given: str, found: str
) -> None:
    monkeypatch.setenv("PUBLIC_URL", given)
    assert get_settings().base_url == found


def test_public_addresses_that_are_documented_can_be_used() -> None:
    text = (REPOSITORY / "docs" / "deployment.md").read_text(encoding="utf-8")
    shown = re.findall(r"^PUBLIC_URL=(.*)$", text, re.MULTILINE)
    assert len(shown) == 2
    assert [read_public_url(url) for url in shown] == shown


def test_an_empty_public_address_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLIC_URL", "")
    assert get_settings().public_url is None
    assert get_settings().base_url == "http://127.0.0.1:8000"


# --- Embedded services ----------------------------------------------------------------------


@pytest.mark.parametrize("content", [None, "", "{}"])
def test_services_that_do_not_run_say_how_to_start_them(content: str | None) -> None:
    if content is not None:
        write_services(content)
    settings = get_settings()
    with pytest.raises(SetupError, match=r"illume up.*DATABASE_URL"):
        settings.resolve_database_url()
    with pytest.raises(SetupError, match=r"illume up.*REDIS_URL"):
        settings.resolve_redis_url()


def test_running_services_are_found_by_their_file() -> None:
    write_services('{"database_url": "postgresql+psycopg://x", "redis_url": "unix:///s?db=0"}')
    settings = get_settings()
    assert settings.resolve_database_url() == "postgresql+psycopg://x"
    assert settings.resolve_redis_url() == "unix:///s?db=0"


@pytest.mark.parametrize(
    ("given", "broker"),
    [
        ("redis://host:6379/2", "redis://host:6379/2"),
        ("unix:///run/redis.sock?db=3", "redis+socket:///run/redis.sock?virtual_host=3"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
    ],
)
def test_celery_reaches_the_same_redis(
    monkeypatch: pytest.MonkeyPatch, given: str, broker: str
) -> None:
    monkeypatch.setenv("REDIS_URL", given)
    assert get_settings().celery_broker_url() == broker
    assert redis.Redis.from_url(given) is not None


# --- The secret key -------------------------------------------------------------------------


def test_secret_key_is_made_once_and_for_its_owner_alone() -> None:
    settings = get_settings()
    key = settings.resolve_secret_key()
    path = settings.illume_home / "secret_key"
    assert len(key) >= 32
    assert settings.resolve_secret_key() == path.read_text(encoding="utf-8") == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["secret_key"]


def test_two_first_starts_agree_on_one_secret_key() -> None:
    settings = get_settings()
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: settings.resolve_secret_key(), range(32)))
    assert len(keys) == 1
    assert [entry.name for entry in settings.illume_home.iterdir()] == ["secret_key"]


def test_given_secret_key_must_be_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "admin")
    with pytest.raises(SetupError, match="SECRET_KEY is too short"):
        get_settings().resolve_secret_key()
