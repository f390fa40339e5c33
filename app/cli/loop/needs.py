"""Tells before a loop begins what its strategies need, and what of it cannot be measured."""

from sqlalchemy.orm import Session

from app.models import Project
from app.queries.dataset.prior import count_prior
from app.queries.rounds.rounds import find_newest_adapter
from app.round_settings import LoopSettings
from app.services.rounds.starting import find_unjudged
from app.strategies import get_strategy
from app.strategies.monologue import MONOLOGUE, REASONER
from app.strategies.perception import MODEL, PERCEPTION

FEW_EPISODES = 1000
"""The demo's reasoner answered worse than the base after 200, and better after 4,000; nothing in
between was measured (docs/monologue.md)."""


def tell_needs(session: Session, project: Project, settings: LoopSettings) -> list[str]:
    """Returns what to know before the loop; nothing where it has all that it needs."""
    told = (
        _tell_monologue(session, project, settings),
        _tell_perception(session, project, settings),
        find_unjudged(session, project.id, settings),
    )
    return [line for line in told if line is not None]


def _tell_monologue(session: Session, project: Project, settings: LoopSettings) -> str | None:
    """Returns what to know where a reasoner that has not learned yet has few episodes to learn
    from; None elsewhere."""
    if not _is_new(session, project, settings, MONOLOGUE.name, REASONER):
        return None
    prior = count_prior(session, project.id)
    n_episodes = prior.n_episodes - prior.n_outdated
    if n_episodes >= FEW_EPISODES:
        return None
    return (
        f"The reasoner of the strategy {MONOLOGUE.name} has never asked, and the prior has "
        f"{n_episodes:,} episodes to learn it from. From few it may learn to answer worse than the "
        "base model: the demo's test answers fell from 85 % to 65 % or 49 % after 200, and 4,000 "
        f"were enough. Bring more with illume prior import {project.slug} FILE: docs/monologue.md."
    )


def _tell_perception(session: Session, project: Project, settings: LoopSettings) -> str | None:
    """Returns what to know of perception before it learns its first adapter; None where it takes no
    part, or has learned one."""
    if not _is_new(session, project, settings, PERCEPTION.name, MODEL):
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


def _is_new(
    session: Session, project: Project, settings: LoopSettings, strategy: str, role: str
) -> bool:
    """Whether a strategy takes part and this role of it has no adapter."""
    base = get_strategy(strategy).base_of(settings, role)
    return strategy in settings.shares and not find_newest_adapter(
        session, project.id, base.name, strategy=strategy, role=role
    )
