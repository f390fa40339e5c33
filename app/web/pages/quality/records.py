"""What is stored of how people judged, put together for one person over several rounds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.check_score import CheckCounts, CheckScore, score_checks
from app.evidence import PersonAgreement, PersonFigures, PersonPositions
from app.kit.sentences import Sentence
from app.lifecycle import EvidenceKind, RoundStatus
from app.models import Round
from app.pace import Spread, Steps, add_up, spread_of
from app.queries.quality.people import OwnRound, StoredOfPerson, list_of_people
from app.web.pages.rounds.evidence import words_of, words_of_person


@dataclass(frozen=True)
class PersonRound:
    """How one person judged in one round, as it was measured `at` a time."""

    round_id: int
    number: int
    status: RoundStatus
    at: datetime
    figures: PersonFigures
    agreement: PersonAgreement | None
    positions: PersonPositions | None

    @property
    def words(self) -> Sentence | None:
        """What their agreement with the others says."""
        return words_of(self.agreement.alpha) if self.agreement else None

    @property
    def alpha(self) -> float | None:
        return self.agreement.alpha.value if self.agreement else None

    @property
    def follows_positions(self) -> bool:
        return self.positions is not None and self.positions.stands_out

    @property
    def positions_words(self) -> Sentence:
        return words_of_person(self.positions)

    @property
    def together(self) -> "Together":
        return Together((self,))


@dataclass(frozen=True)
class Together:
    """How one person judged in several rounds, the newest one last."""

    rounds: tuple[PersonRound, ...]

    @property
    def n_judgements(self) -> int:
        return sum(entry.figures.n_judgements for entry in self.rounds)

    @property
    def per_item(self) -> Spread | None:
        return self._spread(lambda figures: figures.per_item)

    @property
    def per_candidate(self) -> Spread | None:
        return self._spread(lambda figures: figures.per_candidate)

    @property
    def picked_share(self) -> float | None:
        n_shown = sum(entry.figures.n_shown for entry in self.rounds)
        n_picked = sum(entry.figures.n_picked for entry in self.rounds)
        return n_picked / n_shown if n_shown else None

    @property
    def newest(self) -> PersonRound | None:
        """The newest round that says how far they agree with others, or the newest one."""
        with_value = [entry for entry in self.rounds if entry.alpha is not None]
        return next(reversed(with_value or self.rounds), None)

    @property
    def checks(self) -> CheckCounts:
        """What they said of check items, added up."""
        said = [entry.figures.checks for entry in self.rounds]
        return CheckCounts(
            n_items=sum(one.n_items for one in said),
            n_hits=sum(one.n_hits for one in said),
            n_fit=sum(one.n_fit for one in said),
            n_rejected=sum(one.n_rejected for one in said),
            n_misfit=sum(one.n_misfit for one in said),
        )

    @property
    def score(self) -> CheckScore | None:
        return score_checks(self.checks)

    @property
    def n_same(self) -> int:
        """How many runs of fast answers there are that are all the same."""
        return sum(len(entry.figures.same) for entry in self.rounds)

    @property
    def follows_positions(self) -> bool:
        return any(entry.follows_positions for entry in self.rounds)

    def _spread(self, steps_of: Callable[[PersonFigures], Steps]) -> Spread | None:
        return spread_of(add_up(steps_of(entry.figures) for entry in self.rounds))


def read_records(
    session: Session, rounds: Sequence[Round | OwnRound], *, user_id: int | None = None
) -> Mapping[int, Together]:
    """Returns what is stored of each person in these rounds, by their number; with `user_id` of
    that one only."""
    by_id = {entry.id: entry for entry in rounds}
    found: dict[int, dict[int, dict[str, StoredOfPerson]]] = {}
    for stored in list_of_people(session, list(by_id), user_id=user_id):
        of_round = found.setdefault(stored.user_id, {}).setdefault(stored.round_id, {})
        of_round[stored.kind] = stored
    return {
        person: Together(
            tuple(
                _round(by_id[round_id], kinds)
                for round_id, kinds in sorted(of_rounds.items(), key=_number_in(by_id))
                if EvidenceKind.PEOPLE in kinds
            )
        )
        for person, of_rounds in found.items()
    }


def _number_in(
    by_id: Mapping[int, Round | OwnRound],
) -> Callable[[tuple[int, object]], tuple[int, int]]:
    return lambda entry: (by_id[entry[0]].number, entry[0])


def _round(entry: Round | OwnRound, kinds: Mapping[str, StoredOfPerson]) -> PersonRound:
    own = kinds[EvidenceKind.PEOPLE]
    agreement = kinds.get(EvidenceKind.AGREEMENT)
    positions = kinds.get(EvidenceKind.POSITIONS)
    return PersonRound(
        round_id=entry.id,
        number=entry.number,
        status=entry.status,
        at=own.at,
        figures=PersonFigures.read(own.figures),
        agreement=PersonAgreement.read(agreement.figures) if agreement else None,
        positions=PersonPositions.read(positions.figures) if positions else None,
    )
