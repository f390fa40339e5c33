"""Tells before a loop begins what its strategy needs, and what of it cannot be measured."""

from sqlalchemy.orm import Session

from app.models import Project
from app.queries.rounds.rounds import find_newest_adapter
from app.round_settings import LoopSettings
from app.services.rounds.starting import find_unjudged
from app.strategies.perception import MODEL, PERCEPTION


def tell_needs(session: Session, project: Project, settings: LoopSettings) -> list[str]:
    """Returns what to know before the loop; nothing where it has all that it needs."""
    told = (
        _tell_perception(session, project, settings),
        find_unjudged(session, project.id, settings),
    )
    return [line for line in told if line is not None]


def _tell_perception(session: Session, project: Project, settings: LoopSettings) -> str | None:
    """Returns what to know of perception before it learns its first adapter; None where it takes no
    part, or has learned one."""
    if PERCEPTION.name not in settings.shares or find_newest_adapter(
        session, project.id, settings.base_model, strategy=PERCEPTION.name, role=MODEL
    ):
        return None
    own = settings.perception
    unasked = f"{own.basic_tokens} vector{'s' if own.basic_tokens > 1 else ''}"
    return (
        f"The strategy {PERCEPTION.name} shows the model {unasked} of a picture unasked "
        f"(perception.basic_tokens), and {own.evidence_tokens} for what it asks "
        "(perception.evidence_tokens), not all that the picture has. Where to look it learns from "
        "questions, rationales and captions that name places. With few of these, and few vectors, "
        "it answers worse than the base model: docs/perception.md."
    )
