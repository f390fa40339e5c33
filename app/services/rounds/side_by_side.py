"""What is compared where two rounds are: a round, or the base model before any."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.kit.errors import NotFound
from app.kit.sentences import Sentence
from app.models import Project, Round, Run
from app.queries.rounds.rounds import find_baseline_run, list_rounds
from app.queries.runs import runs as run_queries
from app.round_settings import LoopSettings
from app.services.runs.runs import list_chain

BASE = 0
"""The number that stands for the base model."""


@dataclass(frozen=True)
class Side:
    """A round, or the base model, with the evaluation of it, if that succeeded."""

    round: Round | None
    evaluation: Run | None
    run_ids: Sequence[int]
    """The evaluation and the runs that it went on from: all that hold its predictions."""

    @property
    def number(self) -> int:
        """Returns the number of the round; that of the base model is 0."""
        return self.round.number if self.round else BASE


def find_sides(
    session: Session, project: Project, *, before: int | None, after: int | None
) -> tuple[Side, Side] | None:
    """Returns the two sides of a comparison: by number, or the newest round that is over and the
    round before it. None where the project has no round.

    Raises NotFound where a number is that of no round.
    """
    rounds = {round_.number: round_ for round_ in list_rounds(session, project.id)}
    if not rounds:
        return None
    if after is None:
        decided = [number for number, round_ in rounds.items() if round_.figures]
        after = max(decided or rounds)
    if before is None:
        before = max((number for number in rounds if number < after), default=BASE)
    for number in (before, after):
        if number != BASE and number not in rounds:
            raise NotFound(Sentence("There is no round %(number)s in this project.", number=number))
    # The base model that is meant is that of the round beside it.
    settings = LoopSettings.model_validate(
        (rounds.get(after) or rounds.get(before) or rounds[min(rounds)]).settings
    )
    first, second = (
        _side(session, project, rounds.get(number), settings) for number in (before, after)
    )
    return first, second


def _side(session: Session, project: Project, round_: Round | None, settings: LoopSettings) -> Side:
    if round_ is None:
        run = find_baseline_run(session, project.id, settings)
    else:
        run = run_queries.find_evaluation(session, round_.id)
    run_ids = [entry.id for entry in list_chain(session, run)] if run else []
    return Side(round_, run, run_ids)
