"""Episodes of a prior: which there are, and how they come and go."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.orm import Session

from app.lifecycle import Split
from app.models import Item, PriorEpisode, TrainingRow
from app.queries.blocks import blocks


@dataclass(frozen=True)
class PriorCount:
    """The size of a project's prior. n_outdated: episodes of items whose wording has changed since
    they were imported, which no training reads."""

    n_episodes: int
    n_items: int
    n_outdated: int


EpisodeKey = tuple[int, str, int]
"""Item, key of the content, and the version of the item that it tells of."""


def count_prior(session: Session, project_id: int) -> PriorCount:
    row = session.execute(
        select(
            func.count(),
            func.count(PriorEpisode.item_id.distinct()),
            func.count().filter(PriorEpisode.item_version != Item.version),
        )
        .join(Item, Item.id == PriorEpisode.item_id)
        .where(PriorEpisode.project_id == project_id, PriorEpisode.removed_at.is_(None))
    ).one()
    return PriorCount(*row)


def find_episodes(session: Session, project_id: int) -> dict[EpisodeKey, int]:
    """Returns the ids of the episodes of a project's prior."""
    rows = session.execute(
        select(
            PriorEpisode.item_id,
            PriorEpisode.content_key,
            PriorEpisode.item_version,
            PriorEpisode.id,
        ).where(PriorEpisode.project_id == project_id, PriorEpisode.removed_at.is_(None))
    )
    return {(item_id, key, version): id_ for item_id, key, version, id_ in rows}


def list_items_with_facts(session: Session, project_id: int) -> Sequence[Item]:
    """Returns the train items of a project that say what their picture shows, and are used."""
    return session.scalars(
        select(Item)
        .where(
            Item.project_id == project_id,
            Item.split == Split.TRAIN,
            Item.facts.is_not(None),
            Item.excluded_at.is_(None),
        )
        .order_by(Item.id)
    ).all()


def insert_episodes(session: Session, rows: Iterable[Mapping[str, Any]]) -> None:
    """Store episodes, each given by its columns."""
    for block in blocks(list(rows)):
        session.execute(insert(PriorEpisode), block)


def remove_episodes(session: Session, episode_ids: Sequence[int]) -> None:
    """Take episodes out of the prior. Those that a training has read stay as the record of that."""
    for block in blocks(sorted(episode_ids)):
        # A training that is being planned holds those that it names; it is waited for.
        session.execute(
            select(PriorEpisode.id)
            .where(PriorEpisode.id.in_(block))
            .order_by(PriorEpisode.id)
            .with_for_update()
        ).all()
        is_read = exists().where(TrainingRow.prior_episode_id == PriorEpisode.id)
        session.execute(
            delete(PriorEpisode).where(PriorEpisode.id.in_(block), ~is_read),
            execution_options={"synchronize_session": False},
        )
        session.execute(
            update(PriorEpisode).where(PriorEpisode.id.in_(block)).values(removed_at=func.now()),
            execution_options={"synchronize_session": False},
        )
