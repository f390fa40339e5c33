"""The part of a round's page that shows what of its monologues could not be understood."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.lifecycle import JUDGEABLE_ROUND
from app.models import Round
from app.queries.rounds.figures import NotUnderstood, list_not_understood
from app.round_settings import LoopSettings
from app.run_results import EpisodeTally

N_SHOWN = 10
N_CHARACTERS = 160
"""Of each, before it is cut; the rest unfolds."""


@dataclass(frozen=True)
class Unclear:
    """A draw with what it said, cut where it is long. rest: what was cut off, if anything."""

    draw: NotUnderstood
    said: str
    rest: str


@dataclass(frozen=True)
class UnclearPart:
    """n: of all monologues of the round. newest: the newest of them."""

    n: int
    newest: Sequence[Unclear]


def unclear_part(
    session: Session, round_: Round, episodes: EpisodeTally | None
) -> UnclearPart | None:
    """Returns what is stored; None where all was understood, or the round is still judged blind:
    which items a strategy failed at may tell whose the texts of these are."""
    if episodes is None or not episodes.not_understood:
        return None
    settings = LoopSettings.model_validate(round_.settings)
    if settings.is_mixed and round_.status in JUDGEABLE_ROUND:
        return None
    draws = list_not_understood(session, round_.id, limit=N_SHOWN)
    return UnclearPart(episodes.not_understood, [_cut(draw) for draw in draws])


def _cut(draw: NotUnderstood) -> Unclear:
    return Unclear(draw, draw.said[:N_CHARACTERS], draw.said[N_CHARACTERS:])
