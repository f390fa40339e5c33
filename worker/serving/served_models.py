"""Which model of a server a round samples from, and its adapter on the server."""

import logging
from pathlib import Path

from worker.serving.connection import Connection
from worker.serving.errors import Refused, ServerError, Unavailable

logger = logging.getLogger(__name__)


def adapter_name(digest: str) -> str:
    """What an adapter, or the model that it is merged into, is called on a server."""
    return f"illume-{digest[:16]}"


async def find_model(
    connection: Connection, wanted: str | None, adapter: tuple[str, Path] | None
) -> str:
    """The name to ask for. adapter: (digest, folder) of the round's adapter; None: the base model.

    With an adapter it is, in this order: a model of the server that carries the adapter's name
    (loaded before, or merged), else the adapter, which vLLM and SGLang can load from its folder
    while they run. Never the base model in its place: raises ServerError.
    """
    listed = await list_models(connection)
    if adapter is None:
        return _base_model(connection, wanted, listed)
    digest, folder = adapter
    name = adapter_name(digest)
    for served in (*listed, *([wanted] if wanted else [])):
        if served.rstrip("/").rsplit("/", 1)[-1] == name or served.endswith(f":{name}"):
            return served
    base = _base_model(connection, wanted, listed)
    if await _loads(connection, "v1/load_lora_adapter", name, folder):  # vLLM
        return name
    if await _loads(connection, "load_lora_adapter", name, folder):  # SGLang
        return f"{base}:{name}"
    raise ServerError(
        f"The round samples from the adapter {digest[:16]}, which the sampling server "
        f"{connection.server.url} neither serves nor loads. Let it load adapters while it runs "
        f"(docs/serving.md), or serve the merged model under the name {name}: "
        f"illume model merge {digest[:16]} {name}. Then retry the round, or sample locally."
    )


async def list_models(connection: Connection) -> list[str]:
    """Names that the server lists; none where it cannot say (transformers' own may not)."""
    answer = await connection.get(f"{connection.server.url}/models") or {}
    found = answer.get("data")
    entries = found if isinstance(found, list) else []
    return [str(entry["id"]) for entry in entries if isinstance(entry, dict) and entry.get("id")]


def _base_model(connection: Connection, wanted: str | None, listed: list[str]) -> str:
    if wanted:
        return wanted
    # What we loaded ourselves for other rounds is no base model.
    bases = [name for name in listed if "illume-" not in name]
    if len(bases) == 1:
        return bases[0]
    seen = f"it lists {', '.join(bases)}" if bases else "it lists none"
    raise ServerError(
        f"Say which model of the sampling server {connection.server.url} is meant: {seen}. Set "
        "“Model on the server” in the project's settings."
    )


async def _loads(connection: Connection, path: str, name: str, folder: Path) -> bool:
    """Whether the server has the adapter now."""
    body = {"lora_name": name, "lora_path": str(folder)}
    try:
        await connection.post(f"{connection.server.root}/{path}", body)
    except ServerError as error:
        logger.info("%s", error.message)  # no such address: this server has another, or none
        return False
    except Refused as refusal:
        if "already" in str(refusal).casefold():  # another worker was faster
            return True
        raise ServerError(
            f"The sampling server {connection.server.url} does not load the adapter {name} from "
            f"{folder}: {refusal}. The folder must be the same on the server's machine, and the "
            "server must allow adapters of this kind and rank."
        ) from refusal
    except Unavailable as trouble:
        raise ServerError(
            f"The sampling server {connection.server.url} does not load the adapter {name} from "
            f"{folder}: {trouble}. Look at the server's log."
        ) from trouble
    return True
