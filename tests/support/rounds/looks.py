"""Rounds of the strategy `perception`, with looks that no model had to make."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.models import Item, OcclusionMap, Project, Round, RoundItem
from app.round_settings import LoopSettings
from app.strategies.perception import PERCEPTION, Look, PerceptionTrace
from tests.support.factories import make_item, make_project, make_round
from tests.support.judging import make_traced

TEXT = "seeing that the ball in the middle left is red"
OTHER = "seeing that there is a ball"
FALLS = (0.01, 0.0, 0.02, 1.088, 0.1, -0.01, 0.03, 0.0, 0.0)
"""In nats: hiding the place in the middle left breaks the answer, no other one does."""


def make_perception_round(
    session: Session, project: Project | None = None, *, number: int = 1
) -> Round:
    """A round that is being judged, with nothing in it."""
    project = project or make_project(session)
    settings = LoopSettings(strategy=PERCEPTION.name, auto_advance=False)
    return make_round(session, project, number=number, settings=settings)


def looked_at(
    *peaks: int, rows: int = 3, columns: int = 3, without: str | None = None
) -> PerceptionTrace:
    """Returns a trace of looks, each of which attends most to one place."""
    n = rows * columns
    even = 0.4 / (n - 1)
    return PerceptionTrace(
        looks=tuple(
            Look(
                rows=rows,
                columns=columns,
                attention=tuple(0.6 if place == peak else even for place in range(n)),
            )
            for peak in peaks
        ),
        without=without,
    )


def make_looks(
    session: Session, round_: Round, *, item: Item | None = None, slots: int = 1
) -> RoundItem:
    """An open item with two rationales: of one look, drawn in two ways, and of two looks."""
    texts = {TEXT: [looked_at(3), looked_at(5)], OTHER: [looked_at(0, 8)]}
    item = item or make_item(session, session.get_one(Project, round_.project_id))
    return make_traced(session, round_, item, texts, slots=slots)


def make_map(
    session: Session,
    sample_id: int,
    *,
    turn: int = 1,
    probability: float = 0.92,
    falls: Sequence[float] = FALLS,
    rows: int = 3,
    without: str = "blue",
) -> OcclusionMap:
    """The map of a look, as a worker stores it."""
    found = OcclusionMap(
        sample_id=sample_id,
        turn=turn,
        n_rows=rows,
        n_columns=len(falls) // rows,
        probability=probability,
        falls=list(falls),
        without=without,
        seconds=0.5,
    )
    session.add(found)
    session.flush()
    return found
