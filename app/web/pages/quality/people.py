"""The pages of how people judge: all of a project, and one of them. What is stored is shown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter

from sqlalchemy.orm import Session

from app.check_score import CheckScore
from app.evidence import Pattern, SameAnswers
from app.kit.sentences import Sentence
from app.models import Project, Round, User
from app.pace import Spread
from app.queries.quality.people import NamedAnswer, list_named, list_people
from app.queries.rounds.rounds import list_rounds
from app.reading_time import SHORTEST_MS_PER_WORD
from app.web.pages.quality.checks import rules_of
from app.web.pages.quality.records import PersonRound, Together, read_records

NOBODY = Together(())


@dataclass(frozen=True)
class PersonLine:
    """One person of a project. `is_below`: their check score is surely below the floor."""

    user: User
    record: Together
    score: CheckScore | None
    is_below: bool

    @property
    def n_warnings(self) -> int:
        return self.record.n_same + self.record.follows_positions + self.is_below


@dataclass(frozen=True)
class Column:
    """A column that people can be sorted by; `direction` where they are."""

    key: str
    label: Sentence
    is_number: bool
    link: str
    direction: str | None


@dataclass(frozen=True)
class PeoplePage:
    """All people of a project. `newest`: the newest round that was measured, and when."""

    columns: tuple[Column, ...]
    lines: list[PersonLine]
    floor: float | None
    newest: Round | None
    at: datetime | None
    to_measure: Round | None
    """The newest round, whose page has the button."""


@dataclass(frozen=True)
class NamedLine:
    """An answer of a run. `skimming_seconds`: what its text takes to skim, at least."""

    answer: NamedAnswer
    places: tuple[int, ...]
    seconds: float
    skimming_seconds: float


@dataclass(frozen=True)
class SameRun:
    """A run of fast answers that are all the same."""

    round_number: int
    round_id: int
    words: Sentence
    found: SameAnswers
    lines: list[NamedLine]


@dataclass(frozen=True)
class PersonPage:
    """How one person of a project judges."""

    line: PersonLine
    floor: float | None
    rounds: list[PersonRound]
    """The newest one first."""
    runs: list[SameRun]


Key = Callable[[PersonLine], float | str | None]

_COLUMNS: Mapping[str, tuple[Sentence, Key]] = {
    "name": (Sentence("Name"), lambda line: line.user.name.casefold()),
    "warnings": (Sentence("Warnings"), lambda line: -line.n_warnings),
    "judged": (Sentence("Judged"), lambda line: line.record.n_judgements),
    "item": (Sentence("One item"), lambda line: _median(line.record.per_item)),
    "candidate": (Sentence("One candidate"), lambda line: _median(line.record.per_candidate)),
    "picks": (Sentence("Picks"), lambda line: line.record.picked_share),
    "alpha": (
        Sentence("Alpha"),
        lambda line: line.record.newest.alpha if line.record.newest else None,
    ),
    "checks": (Sentence("Check score"), lambda line: line.score.value if line.score else None),
}
DEFAULT_ORDER = "warnings"
_BACKWARDS = "-"


def build_people(session: Session, project: Project, *, order: str) -> PeoplePage:
    """Builds the page of all people. order: the key of a column, backwards behind a `-`; what
    nobody knows is the default."""
    rounds = list_rounds(session, project.id)
    records = read_records(session, rounds)
    floor = rules_of(session, project).floor
    lines = [
        _line(user, records.get(user.id, NOBODY), floor)
        for user in list_people(session, project.id)
    ]
    key = order.removeprefix(_BACKWARDS)
    if key not in _COLUMNS:
        order = key = DEFAULT_ORDER
    is_backwards = order.startswith(_BACKWARDS)
    by_id = {entry.id: entry for entry in rounds}
    measured = [entry for record in records.values() for entry in record.rounds]
    newest = max(measured, key=lambda entry: entry.number, default=None)
    return PeoplePage(
        columns=tuple(
            _column(project, name, label, order) for name, (label, _) in _COLUMNS.items()
        ),
        lines=_sorted(lines, _COLUMNS[key][1], is_backwards=is_backwards),
        floor=floor,
        newest=by_id[newest.round_id] if newest else None,
        at=newest.at if newest else None,
        to_measure=rounds[-1] if rounds else None,
    )


def build_person(session: Session, project: Project, user: User) -> PersonPage:
    rounds = list_rounds(session, project.id)
    record = read_records(session, rounds, user_id=user.id).get(user.id, NOBODY)
    floor = rules_of(session, project).floor
    return PersonPage(
        line=_line(user, record, floor),
        floor=floor,
        rounds=list(reversed(record.rounds)),
        runs=_runs(session, project, user, record),
    )


def words_of_run(found: SameAnswers) -> Sentence:
    """Returns what the answers of a run have in common, and how fast they came."""
    parts = {
        "n": found.n,
        "seconds": _tenths(found.seconds),
        "skimming": _tenths(found.skimming_seconds),
    }
    if found.pattern is Pattern.ALL:
        return Sentence(
            "%(n)s answers in a row pick everything, each after %(seconds)s s (median), where the "
            "text takes %(skimming)s s even to skim.",
            **parts,
        )
    if found.pattern is Pattern.NONE:
        return Sentence(
            "%(n)s answers in a row pick nothing, each after %(seconds)s s (median), where the "
            "text takes %(skimming)s s even to skim.",
            **parts,
        )
    return Sentence(
        "%(n)s answers in a row pick the same places (%(places)s), each after %(seconds)s s "
        "(median), where the text takes %(skimming)s s even to skim.",
        places=", ".join(map(str, found.places)),
        **parts,
    )


def _tenths(seconds: float) -> float:
    return round(seconds, 1)


def _line(user: User, record: Together, floor: float | None) -> PersonLine:
    score = record.score
    is_below = score is not None and floor is not None and score.is_surely_below(floor)
    return PersonLine(user, record, score, is_below)


def _median(spread: Spread | None) -> float | None:
    return spread.median if spread else None


def _sorted(lines: Sequence[PersonLine], key: Key, *, is_backwards: bool) -> list[PersonLine]:
    """Returns the lines in an order, by name where they are equal; those without a value last."""

    keyed = [(key(line), line) for line in lines]
    with_value = [(value, line) for value, line in keyed if value is not None]
    with_value.sort(key=itemgetter(0), reverse=is_backwards)
    return [line for _, line in with_value] + [line for value, line in keyed if value is None]


def _column(project: Project, key: str, label: Sentence, order: str) -> Column:
    """A column with its link, which turns the order round where it is the present one."""
    is_present = order.removeprefix(_BACKWARDS) == key
    is_backwards = order.startswith(_BACKWARDS)
    turned = key if not is_present or is_backwards else f"{_BACKWARDS}{key}"
    # The most warnings come first, which is downwards.
    is_down = is_backwards != (key == "warnings")
    return Column(
        key=key,
        label=label,
        is_number=key not in {"name", "warnings"},
        link=f"/projects/{project.slug}/people?order={turned}",
        direction=("descending" if is_down else "ascending") if is_present else None,
    )


def _runs(session: Session, project: Project, user: User, record: Together) -> list[SameRun]:
    found = [(entry, one) for entry in reversed(record.rounds) for one in entry.figures.same]
    ids = [id_ for _, one in found for id_ in one.judgement_ids]
    answers = list_named(session, ids, project_id=project.id, user_id=user.id) if ids else {}
    return [
        SameRun(
            round_number=entry.number,
            round_id=entry.round_id,
            words=words_of_run(one),
            found=one,
            lines=[_named(answers[id_]) for id_ in one.judgement_ids if id_ in answers],
        )
        for entry, one in found
    ]


def _named(answer: NamedAnswer) -> NamedLine:
    judgement = answer.judgement
    picked = set(judgement.picked)
    return NamedLine(
        answer=answer,
        places=tuple(
            place for place, id_ in enumerate(judgement.shown_order, start=1) if id_ in picked
        ),
        seconds=judgement.active_ms / 1000,
        skimming_seconds=judgement.n_words * SHORTEST_MS_PER_WORD / 1000,
    )
