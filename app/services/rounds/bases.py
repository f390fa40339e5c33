"""The base model of a project: pinned by its content at the first round, changed only on purpose.

1. The first worker that loads the base pins it; every later load asks for that very content.
2. A worker that finds another content notes it and refuses, naming both digests.
3. An administrator restores the files and retries, or goes on with the changed base: then the pin
   moves, what was trained on the old base is left behind, and the base is measured anew.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.events.rounds import BaseModelChanged, BasePinned, ModelProved, ModelRefused
from app.kit.errors import AppError, Conflict
from app.kit.sentences import Sentence
from app.models import Adapter, Round, RoundModel, Run, User
from app.queries.rounds import bases as queries
from app.queries.rounds import rounds as round_queries
from app.queries.rounds.bases import find_base, lock_base
from app.round_settings import NamedBase
from app.services.events import record
from app.services.rounds import rounds
from app.services.rounds.starting import request_baseline
from app.strategies import get_strategy, list_bases


class BaseChanged(AppError):
    """The files of the base model are others than those that the project began with."""

    status_code = 409
    code = "base.changed"


@dataclass(frozen=True)
class Measured:
    """What a proof of a model found, as it is stored. key: base digest, libraries, digest of the
    settings."""

    key: tuple[str, str, str]
    base_model: str
    device: str
    lines: list[dict[str, Any]]
    reason: str | None
    seconds: float


def pin_base(session: Session, round_: Round, base: NamedBase, digest: str) -> None:
    """Hold a project to a base as its first round loaded it. A project that has trained on it
    before is held to what its adapter was trained on. Raises nothing; ask `note_found`
    afterwards."""
    parents = [parent for _, parent in _list_parents(session, round_, base)]
    trained_on = parents[0].base_revision if parents else None
    pinned = queries.pin_base(session, round_.project_id, base, trained_on or digest)
    if pinned is not None:
        record(
            session,
            BasePinned(base_model=base.name, digest=pinned),
            project_id=round_.project_id,
            round_id=round_.id,
        )


def _list_parents(
    session: Session, round_: Round, base: NamedBase
) -> list[tuple[RoundModel, Adapter]]:
    """The models of a round that go on from an adapter and whose role stands on a base."""
    settings = rounds.settings_of(round_)
    return [
        (model, session.get_one(Adapter, model.parent_adapter_id))
        for model in round_queries.list_round_models(session, round_.id)
        if model.parent_adapter_id is not None
        and get_strategy(model.strategy).base_of(settings, model.role) == base
    ]


def note_found(session: Session, round_: Round, named: NamedBase, found: str) -> BaseChanged | None:
    """Compare what a worker found with the pin. Where it is another content, it is noted for
    whoever goes on with it, and the refusal is returned; the caller raises it after the commit."""
    base = lock_base(session, round_.project_id, named)
    if base is None or base.digest == found:
        if base is not None:
            base.found_digest = None
        return None
    base.found_digest = found
    return BaseChanged(
        Sentence(
            "The base model %(model)s was changed since this project began with it: it was "
            "%(before)s, and it is %(found)s. Restore its files and retry, or go on with the "
            "changed base (on the round's page, or illume round retry --changed-base): the loop "
            "then begins with it anew, without what was trained before.",
            model=named.name,
            before=base.digest,
            found=found,
        )
    )


def has_found_another(session: Session, round_: Round) -> bool:
    """Whether a worker refused a changed base that somebody may go on with."""
    named = list_bases(rounds.settings_of(round_))
    found = [find_base(session, round_.project_id, base) for base in named]
    return any(base is not None and base.found_digest is not None for base in found)


def go_on_with_changed_base(session: Session, round_: Round, *, actor: User | None) -> Run:
    """Move the pin to the content that was found, leave adapters of the old base behind, measure
    the base anew, and retry what failed. Raises Conflict where no change was refused."""
    round_ = round_queries.lock_round(session, round_.id)
    settings = rounds.settings_of(round_)
    changed = [base for base in list_bases(settings) if _accept(session, round_, base, actor)]
    if not changed:
        raise Conflict(
            Sentence("No worker has found a changed base model; there is nothing to go on with.")
        )
    run = rounds.retry_round(session, round_, actor=actor)
    request_baseline(session, round_, settings, actor)
    return run


def _accept(session: Session, round_: Round, named: NamedBase, actor: User | None) -> bool:
    """Go on with the content of one base that was found, if another one was."""
    base = lock_base(session, round_.project_id, named)
    if base is None or base.found_digest is None:
        return False
    before = base.digest
    queries.move_pin(session, base, base.found_digest)
    for model, parent in _list_parents(session, round_, named):
        if parent.base_revision != base.digest:
            model.parent_adapter_id = None
    record(
        session,
        BaseModelChanged(base_model=named.name, old=before, new=base.digest),
        project_id=round_.project_id,
        round_id=round_.id,
        actor=actor,
    )
    return True


def store_proof(session: Session, round_: Round, measured: Measured) -> None:
    """Keep what a proof found; a newer one of the same model and settings takes its place."""
    values = {
        "base_model": measured.base_model,
        "device": measured.device,
        "measured": {"lines": measured.lines},
        "reason": measured.reason,
        "seconds": round(measured.seconds, 2),
    }
    queries.store_proof(session, measured.key, values)
    ended = ModelRefused if measured.reason else ModelProved
    record(
        session,
        ended(base_model=measured.base_model, digest=measured.key[0]),
        project_id=round_.project_id,
        round_id=round_.id,
    )
