"""How a loop with monologues begins: with what the project has to teach them from."""

from typing import Any

from sqlalchemy.orm import Session

from app.cli.demo.prior import add_scene_prior
from app.kit.errors import AppError
from app.models import Project
from app.queries.dataset.prior import count_prior
from app.queries.rounds.rounds import find_newest_adapter
from app.round_settings import LoopSettings
from app.services.rounds.moving_on import settings_after
from app.strategies import get_strategy


def begin_with_prior(
    session: Session,
    project: Project,
    settings: LoopSettings,
    *,
    n_episodes: int | None,
    useless_share: float,
) -> LoopSettings:
    """Returns the settings of the loop's first round: one on the prior, where the strategy has one
    to learn from and has not learned anything yet. It does not count as one of the rounds.

    A project of scenes that has no prior gets one of `n_episodes` (None: one per train item).
    Raises AppError where episodes are wanted of a project that is not about scenes.
    """
    learning = [
        strategy for strategy in map(get_strategy, settings.shares) if strategy.learns_from_prior
    ]
    if not learning or settings.training.source != "admitted":
        return settings
    n_present = count_prior(session, project.id).n_episodes
    if not n_present and n_episodes != 0:
        n_present = add_scene_prior(
            session,
            project,
            seed=settings.seed,
            n_episodes=n_episodes,
            useless_share=useless_share,
        )
        if n_episodes and not n_present:
            raise AppError(
                f"{project.slug} is not about rendered scenes, so no prior can be made of it: "
                f"bring one with illume prior import {project.slug} FILE, or leave --prior out."
            )
    has_learned = all(
        any(
            find_newest_adapter(
                session,
                project.id,
                strategy.base_of(settings, role).name,
                strategy=strategy.name,
                role=role,
            )
            for role in strategy.roles
        )
        for strategy in learning
    )
    if has_learned or not n_present:
        return settings
    changed = settings.model_dump()
    changed["training"] |= {"source": "prior", "written": False}
    changed["stop"] |= {"round_limit": settings.stop.round_limit + 1}
    return LoopSettings.model_validate(changed)


def is_same_loop(settings: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two rounds are of one loop by their settings; it may begin with one on the prior."""
    first, second = (
        settings_after(LoopSettings.model_validate(each)) for each in (settings, other)
    )
    return first == second
