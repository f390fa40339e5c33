"""Images without any question: which of them a round could ask about."""

from collections.abc import Collection

from sqlalchemy.orm import Session

from app.queries.dataset.pictures import count_to_ask, list_to_ask
from app.round_settings import LoopSettings
from app.strategies import get_strategy


def may_ask(settings: LoopSettings, strategy: str, *, has_learned: bool) -> bool:
    """Whether a strategy is to ask about images: one whose model has learned to, or any where the
    settings want that. has_learned: whether it has an adapter."""
    asks = get_strategy(strategy).asks_about_images
    return asks and (has_learned or settings.self_questioning.ask_untaught)


def list_askable(
    session: Session, project_id: int, settings: LoopSettings, *, learned: Collection[str]
) -> list[str]:
    """Returns the train images without any question that a round by these settings could ask about,
    by their content. learned: the strategies that have an adapter."""
    if not _asks(settings, learned):
        return []
    return list_to_ask(session, project_id, limit=settings.self_questioning.max_per_image)


def count_askable(
    session: Session, project_id: int, settings: LoopSettings, *, learned: Collection[str]
) -> int:
    """Returns how many images `list_askable` would return."""
    if not _asks(settings, learned):
        return 0
    return count_to_ask(session, project_id, limit=settings.self_questioning.max_per_image)


def _asks(settings: LoopSettings, learned: Collection[str]) -> bool:
    return any(may_ask(settings, one, has_learned=one in learned) for one in settings.shares)
