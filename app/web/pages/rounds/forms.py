"""The question before a round starts."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.kit.sentences import Sentence
from app.lifecycle import Split
from app.models import Project, Round
from app.queries.dataset.pictures import count_alone
from app.queries.dataset.prior import count_prior
from app.queries.projects import overview
from app.queries.projects.projects import count_items_by_split
from app.queries.rounds.rounds import find_last_round, find_newest_adapter, find_open_round
from app.round_settings import LoopSettings
from app.services.dataset.alone import count_askable
from app.services.projects.projects import settings_of
from app.services.rounds.starting import (
    count_left_out,
    find_left_out,
    find_prior_fault,
    find_unjudged,
    why_empty,
)
from app.services.rounds.training_rows import learns_from_prior
from app.strategies import get_strategy


@dataclass(frozen=True)
class NewRoundPage:
    number: int
    settings: LoopSettings
    n_train: int
    n_held_out: int
    n_draws: int
    n_asked: int
    """Images without any question that the model is to ask about."""
    n_episodes: int
    """Of the prior, where the training reads it."""
    open_round: Round | None
    problems: tuple[str, ...]
    """Why it cannot start now."""
    warnings: tuple[str, ...]
    """What stands in the way later, or makes the figures poorer."""


def new_round_page(session: Session, project: Project) -> NewRoundPage:
    settings = settings_of(project)
    splits = count_items_by_split(session, project.id)
    usable = {entry.split: entry.n_items - entry.n_excluded for entry in splits}
    n_left_out, _ = count_left_out(session, project.id, settings)
    usable[Split.TRAIN] = max(0, usable[Split.TRAIN] - n_left_out)
    n_train = min(usable[Split.TRAIN], settings.max_items or usable[Split.TRAIN])
    open_round = find_open_round(session, project.id)
    last = find_last_round(session, project.id)
    problems: list[str] = []
    if open_round is not None:
        problems.append(
            Sentence(
                "Round %(number)s is still open: complete or cancel it first.",
                number=open_round.number,
            )
        )
    n_asked = count_asked(session, project, settings)
    if usable[Split.TRAIN] == 0 and not n_asked:
        problems.append(_why_empty(session, project, settings))
    elif (fault := find_prior_fault(session, project.id, settings)) is not None:
        problems.append(fault)
    return NewRoundPage(
        number=last.number + 1 if last else 1,
        settings=settings,
        n_train=n_train,
        n_held_out=usable[Split.VALIDATION] + usable[Split.TEST],
        n_asked=n_asked,
        n_episodes=_count_episodes(session, project, settings),
        n_draws=n_train * settings.sampling.draws_per_item,
        open_round=open_round,
        problems=tuple(problems),
        warnings=tuple(_warnings(session, project, settings, usable)),
    )


def count_asked(session: Session, project: Project, settings: LoopSettings) -> int:
    """Returns about how many images without any question a round by these settings asks."""
    learned = {
        strategy.name
        for strategy in map(get_strategy, settings.shares)
        for role in strategy.roles
        if find_newest_adapter(
            session,
            project.id,
            strategy.base_of(settings, role).name,
            strategy=strategy.name,
            role=role,
        )
    }
    n_images = count_askable(session, project.id, settings, learned=learned)
    return min(n_images, settings.max_items or n_images)


def _why_empty(session: Session, project: Project, settings: LoopSettings) -> Sentence:
    if count_alone(session, project.id) or count_left_out(session, project.id, settings)[0]:
        return why_empty(session, project.id, settings)
    return Sentence("There are no train items: import a dataset first.")


def _count_episodes(session: Session, project: Project, settings: LoopSettings) -> int:
    if not any(learns_from_prior(settings, strategy) for strategy in settings.shares):
        return 0
    prior = count_prior(session, project.id)
    return prior.n_episodes - prior.n_outdated


def _warnings(
    session: Session, project: Project, settings: LoopSettings, usable: dict[Split, int]
) -> list[str]:
    warnings: list[str] = []
    queues = {queue for line in overview.list_worker_lines(session) for queue in line.worker.queues}
    if "gpu" not in queues:
        warnings.append(
            Sentence(
                "No model worker is alive: the round waits until one is started with "
                "illume worker --queues gpu."
            )
        )
    if not usable[Split.VALIDATION]:
        warnings.append(
            Sentence(
                "There are no validation items: epochs cannot be chosen, and the loop cannot tell "
                "whether answers get worse."
            )
        )
    if (left_out := find_left_out(session, project.id, settings)) is not None:
        warnings.append(left_out)
    if (unjudged := find_unjudged(session, project.id, settings)) is not None:
        warnings.append(unjudged)
    is_by_people = settings.judging.judges.are_people
    n_people = overview.count_annotators(session, project.id)
    if is_by_people and n_people < settings.judging.overlap:
        warnings.append(
            Sentence(
                "Each item is judged by %(overlap)s people, but the project has %(n)s members: "
                "invite more, or lower the overlap.",
                overlap=settings.judging.overlap,
                n=n_people,
            )
        )
    return warnings
