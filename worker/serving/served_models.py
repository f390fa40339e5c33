"""Finds the model of a server that a round samples from, and its adapter on the server."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.ml.model.contents import beyond_the_first_set
from worker.serving.connection import Connection
from worker.serving.errors import NoSuchAddress, Refused, ServerError, Unavailable

PREFIX = "illume-"


@dataclass(frozen=True)
class ModelCard:
    """A line of the server's list. parent: the base model, where it is an adapter."""

    name: str
    parent: str | None
    owner: str | None

    @property
    def to_ask_for(self) -> str:
        """Returns the name to ask for: SGLang wants an adapter as `base:adapter`; by its own name
        it gives the base model.
        """
        is_adapter_there = self.owner == "sglang" and self.parent
        return f"{self.parent}:{self.name}" if is_adapter_there else self.name

    @property
    def takes_any_name(self) -> bool:
        """Whether the server answers whatever model a request names, so that only what it lists is
        sure.
        """
        return self.owner in ("sglang", "llamacpp")


def adapter_name(digest: str) -> str:
    """Returns the name on a server of an adapter, or of the model that it is merged into."""
    return f"{PREFIX}{digest[:16]}"


async def find_model(
    connection: Connection, wanted: str | None, adapter: tuple[str, Path] | None
) -> str:
    """Returns the name to ask for. adapter: (digest, folder) of the round's adapter; None: the base
    model.

    With an adapter it is, in this order: a model of the server that carries the adapter's name
    (loaded before, or merged), else the adapter, which vLLM and SGLang can load from its folder
    while they run. Never the base model in its place, nor a part of the adapter for all of it:
    raises ServerError.
    """
    listed = await list_models(connection)
    if adapter is None:
        return _base_model(connection, wanted, listed)
    digest, folder = adapter
    name = adapter_name(digest)
    more = beyond_the_first_set(folder)
    if more:  # servers load the first set alone; an adapter of that name is no more than that
        listed = [card for card in listed if card.parent is None]
    for card in listed:
        if _last_part(card.name) == name:
            return card.to_ask_for
    if wanted and _last_part(wanted) == name and not any(card.takes_any_name for card in listed):
        return wanted  # a folder that transformers' own server loads but does not list
    if more:
        raise ServerError(
            f"The round samples from the adapter {digest[:16]}, which also holds "
            f"{' and '.join(more)}; a server loads no such adapter. Sample locally, or serve the "
            f"merged model under the name {name}: illume model merge {digest[:16]} {name}. Then "
            "retry the round."
        )
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


async def list_models(connection: Connection) -> list[ModelCard]:
    """Returns the models that the server lists; none where it cannot say (as transformers' own)."""
    answer = await connection.get(f"{connection.server.url}/models") or {}
    found = answer.get("data")
    entries = found if isinstance(found, list) else []
    return [
        ModelCard(str(entry["id"]), entry.get("parent"), entry.get("owned_by"))
        for entry in entries
        if isinstance(entry, dict) and entry.get("id")
    ]


def _base_model(connection: Connection, wanted: str | None, listed: Sequence[ModelCard]) -> str:
    if wanted and _last_part(wanted).startswith(PREFIX):
        raise ServerError(
            f"{wanted} carries another adapter than this run samples from, or the sampling server "
            f"{connection.server.url} does not list it. Name the base model as “Model on the "
            "server”, or the model that the run's own adapter is merged into (illume model merge)."
        )
    if wanted:
        return wanted
    # Adapters and merged models, of other rounds too, are no base models.
    bases = [
        card.name
        for card in listed
        if not card.parent and not _last_part(card.name).startswith(PREFIX)
    ]
    if len(bases) == 1:
        return bases[0]
    seen = f"it lists {', '.join(bases)}" if bases else "it lists none"
    raise ServerError(
        f"Say which model of the sampling server {connection.server.url} is meant: {seen}. Set "
        "“Model on the server” in the project's settings."
    )


def _last_part(name: str) -> str:
    return name.rstrip("/").rsplit("/", 1)[-1]


async def _loads(connection: Connection, path: str, name: str, folder: Path) -> bool:
    """Whether the server has the adapter now."""
    body = {"lora_name": name, "lora_path": str(folder)}
    try:
        # vLLM says in plain words that it has loaded it.
        await connection.post(f"{connection.server.root}/{path}", body, is_json=False)
    except NoSuchAddress:
        return False  # this server has another address for it, or none
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
