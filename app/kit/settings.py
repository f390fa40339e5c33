"""Settings of the installation, read once; the only reader of the environment."""

import json
import os
import re
import secrets
from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from app.kit.errors import SetupError
from app.kit.processes.children import is_alive
from app.kit.public_url import read_public_url

SERVICES_FILE = "services.json"
ADDRESS_FILE = "address"


class SecretFiles(EnvSettingsSource):
    """Reads `NAME_FILE` where `NAME` is not set, so that secrets can come from mounted files."""

    def get_field_value(
        self,
        field: FieldInfo,  # noqa: ARG002 - the signature is given
        field_name: str,
    ) -> tuple[Any, str, bool]:
        file_name = self.env_vars.get(f"{field_name}_file")
        if not file_name:
            return None, field_name, False
        try:
            return Path(file_name).read_text(encoding="utf-8").strip(), field_name, False
        except OSError as error:
            raise SetupError(
                f"{field_name.upper()}_FILE names {file_name}, which cannot be read "
                f"({error.strerror}). Correct the path or its permissions."
            ) from error


class Settings(BaseSettings):
    """Every field is an environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(extra="ignore")

    illume_home: Path = Field(
        default=Path("~/.local/share/illume"),
        description="Folder for everything the embedded services and the store keep.",
    )
    database_url: str | None = Field(
        default=None, description="PostgreSQL to use; without it an embedded one is started."
    )
    redis_url: str | None = Field(
        default=None, description="Redis to use; without it an embedded one is started."
    )
    store: Path | None = Field(
        default=None,
        description="Folder for images, adapters and releases, shared by all workers "
        "(default: ILLUME_HOME/store).",
    )
    secret_key: SecretStr | None = Field(
        default=None,
        description="Signs sessions and links; generated into ILLUME_HOME when absent.",
    )
    public_url: str | None = Field(
        default=None,
        description="Address people use, when a proxy stands in front (for example "
        "https://illume.example.org, or https://example.org/illume below a path).",
    )
    allowed_hosts: str = Field(
        default="",
        description="More names by which browsers reach the web server, separated by commas; "
        "without PUBLIC_URL its addresses and local names are known.",
    )
    trusted_proxies: str = Field(
        default="",
        description="Addresses or networks of proxies whose X-Forwarded-For and -Proto count, "
        "separated by commas; by default none.",
    )
    host: str = Field(default="127.0.0.1", description="Address the web server binds to.")
    port: int = Field(default=8000, ge=1, le=65535, description="Port of the web server.")
    web_processes: int = Field(default=1, ge=1, le=64, description="Web server processes.")
    device: str = Field(
        default="auto", description="Device of model workers: auto, cpu, cuda, cuda:1 …"
    )
    torch_threads: int = Field(
        default=0, ge=0, description="CPU threads of one model worker; 0 leaves it to torch."
    )
    sampling_server: str | None = Field(
        default=None,
        description="OpenAI-compatible server that rounds may sample through (for example "
        "http://127.0.0.1:8001/v1).",
    )
    sampling_server_key: SecretStr | None = Field(
        default=None, description="API key of the sampling server, where it wants one."
    )
    sampling_server_requests: int = Field(
        default=16,
        ge=1,
        le=1024,
        description="Requests one worker has open at the sampling server.",
    )
    sampling_server_seconds: float = Field(
        default=120.0, gt=0, description="A request to the sampling server is cut off after this."
    )
    lease_minutes: float = Field(
        default=5.0, gt=0, description="How long an item stays reserved without a heartbeat."
    )
    stale_seconds: float = Field(
        default=60.0,
        gt=0,
        description="A run or shard without a heartbeat for this long is retaken.",
    )
    sweep_seconds: float = Field(
        default=10.0, gt=0, description="How often beat looks for lost and stale work."
    )
    heartbeat_seconds: float = Field(
        default=5.0, gt=0, description="How often a working worker says that it is alive."
    )
    max_upload_mb: int = Field(default=2048, ge=1, description="Largest file that an import takes.")
    log_format: str = Field(
        default="readable", description="readable or json.", pattern="^(readable|json)$"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is given
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, SecretFiles(settings_cls)

    @field_validator("illume_home", "store")
    @classmethod
    def expand_home(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value else value

    @field_validator("database_url")
    @classmethod
    def name_the_driver(cls, value: str | None) -> str | None:
        """Accepts the usual `postgresql://` and `postgres://` spellings."""
        if value is None:
            return None
        for prefix in ("postgres://", "postgresql://"):
            if value.startswith(prefix):
                return "postgresql+psycopg://" + value.removeprefix(prefix)
        if not value.startswith("postgresql+psycopg://"):
            raise ValueError("must start with postgresql:// (PostgreSQL is the only database)")
        return value

    @field_validator("public_url")
    @classmethod
    def name_a_site(cls, value: str | None) -> str | None:
        return None if value is None else read_public_url(value)

    @field_validator("trusted_proxies")
    @classmethod
    def name_networks(cls, value: str) -> str:
        """Accepts addresses and networks alone: a name, or a typing error, would trust nobody."""
        for part in filter(None, (part.strip() for part in value.split(","))):
            try:
                ip_network(part)
            except ValueError as error:
                raise ValueError(f"{part} is no address or network, like 172.16.0.0/12") from error
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def name_hosts(cls, value: str) -> str:
        """Accepts names alone, as in an address: a pattern or a URL would match nothing."""
        for part in filter(None, (part.strip() for part in value.split(","))):
            if not re.fullmatch(r"[\w.-]+|\[?[0-9a-fA-F:.]+\]?", part):
                raise ValueError(f"{part} is no name of a machine, like illume.example.org")
        return value

    @field_validator("sampling_server")
    @classmethod
    def name_the_version(cls, value: str | None) -> str | None:
        """Accepts the address with and without the `/v1` that all such servers have."""
        if not value:
            return None
        if not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value.rstrip("/").removesuffix("/v1") + "/v1"

    @property
    def base_url(self) -> str:
        """The address that links are made with."""
        return self.public_url or f"http://{self.host}:{self.port}"

    def running_url(self) -> str:
        """`base_url` of the server that runs with ILLUME_HOME: its command line may name a port."""
        return self.public_url or self.recorded_url() or self.base_url

    def record_address(self) -> None:
        """Notes in ILLUME_HOME that this process serves `base_url`, for other commands to name."""
        text = f"{self.base_url} {os.getpid()}\n"
        (self.illume_home / ADDRESS_FILE).write_text(text, encoding="utf-8")

    def recorded_url(self) -> str | None:
        """Returns the address of a server that is alive; one that was killed leaves its note."""
        try:
            url, pid = (self.illume_home / ADDRESS_FILE).read_text(encoding="utf-8").split()
            return url if is_alive(int(pid)) else None
        except (OSError, ValueError):
            return None

    @property
    def hosts(self) -> list[str]:
        """More names that the web server answers to."""
        return [part.strip() for part in self.allowed_hosts.split(",") if part.strip()]

    @property
    def proxies(self) -> list[str]:
        """The proxies that are believed when they say who is asking."""
        return [part.strip() for part in self.trusted_proxies.split(",") if part.strip()]

    @property
    def store_path(self) -> Path:
        return self.store or self.illume_home / "store"

    @property
    def is_embedded(self) -> bool:
        return self.database_url is None or self.redis_url is None

    def resolve_database_url(self) -> str:
        return self.database_url or self._running_service("database_url", "DATABASE_URL")

    def resolve_redis_url(self) -> str:
        return self.redis_url or self._running_service("redis_url", "REDIS_URL")

    def celery_broker_url(self) -> str:
        """Celery spells a Redis socket `redis+socket://`, redis-py spells it `unix://`."""
        url = self.resolve_redis_url()
        if url.startswith("unix://"):
            path, _, query = url.removeprefix("unix://").partition("?")
            number = query.removeprefix("db=") or "0"
            return f"redis+socket://{path}?virtual_host={number}"
        return url

    def resolve_secret_key(self) -> str:
        """Returns the given key, or one made once and kept in ILLUME_HOME."""
        if self.secret_key is not None:
            key = self.secret_key.get_secret_value()
            if len(key) < 32:
                raise SetupError("SECRET_KEY is too short: give at least 32 random characters.")
            return key
        return _generated_secret(self.illume_home / "secret_key")

    def _running_service(self, name: str, variable: str) -> str:
        try:
            urls = json.loads((self.illume_home / SERVICES_FILE).read_text(encoding="utf-8"))
            return str(urls[name])
        except (OSError, ValueError, KeyError) as error:
            raise SetupError(
                f"No {variable} is set and no embedded services run in {self.illume_home}. "
                f"Start them with `illume up`, or set {variable}."
            ) from error


def _generated_secret(path: Path) -> str:
    """Read the secret, making it first when absent. Two first starts agree on one value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48), encoding="utf-8")
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass  # another process was first: its key is the key
        finally:
            draft.unlink()
    return path.read_text(encoding="utf-8")


def choose_settings(**chosen: str) -> None:
    """Let a choice of the command line count for this process and for those that it starts."""
    os.environ.update({name.upper(): value for name, value in chosen.items()})
    get_settings.cache_clear()


def let_waiting_threads_sleep() -> None:
    """Tells OpenMP to let waiting threads sleep; to be called before torch is loaded, which reads
    it then. Threads that wait for each other would spin otherwise: on cores that others use too,
    all takes twenty times as long.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def environment_for_children() -> dict[str, str]:
    """Returns our environment, for a process that we start."""
    return dict(os.environ)


@lru_cache
def get_settings() -> Settings:
    try:
        return Settings()
    except SettingsError as error:
        if isinstance(error.__cause__, SetupError):
            raise error.__cause__ from error
        raise
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
            for problem in error.errors()
        ]
        raise SetupError("The settings are not usable. " + "; ".join(lines)) from error
