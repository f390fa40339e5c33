"""The stored figures of a round's evidence: agreement, positions, anchors, people, yield and more.

Whoever measures stores what `dump` returns, and pages call `find`, as with the results of runs
(`app/run_results/`). A new kind of evidence is a member of `EvidenceKind`, a model here and what
measures it in `app/services/quality/evidence.py`.
"""

from enum import StrEnum

from app.measures import LEVEL, Undefined
from app.pace import Steps
from app.run_results import StoredJson

EACH_PERSON = "$.people[*]"
"""The path, in figures that have one, of the entry of each person with their `user_id`."""


class Figure(StoredJson):
    """A measure with its interval; without a value where `undefined` says why."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    """Candidates, or items, that two or more people judged."""
    undefined: Undefined | None = None

    @classmethod
    def of(cls, measured: object) -> "Figure":
        """Returns a measure as it is stored, of what has fields of these names."""
        return cls.model_validate(measured, from_attributes=True)


class PersonAgreement(StoredJson):
    """How far one person agrees with the others of a round."""

    user_id: int
    alpha: Figure
    n_judgements: int = 0
    picked_share: float | None = None


class AgreementFigures(StoredJson):
    """How far the people of a round agree, over the judgements that count."""

    n_judgements: int = 0
    n_items: int = 0
    n_people: int = 0
    alpha: Figure = Figure()
    """Krippendorff's, over verdicts on candidates."""
    masi: Figure = Figure()
    """Krippendorff's with the MASI distance, over the picked sets of items."""
    fleiss: Figure = Figure()
    cohen: Figure = Figure()
    share_same: Figure = Figure()
    share_by_chance: float | None = None
    """The share of equal verdicts of people who pick as often, but at random."""
    picked_share: float | None = None
    people: tuple[PersonAgreement, ...] = ()


class StrategyAgreement(StoredJson):
    """How far people agree on the candidates of one strategy, over the rounds measured so far."""

    strategy: str
    n_rounds: int = 0
    alpha: Figure = Figure()


class StrategyFigures(StoredJson):
    """Agreement by strategy, and what the round adds to it."""

    strategy: str = ""
    """That of the round."""
    sums: tuple[tuple[float, float, float], ...] = ()
    """Of the round: those from which alpha follows, as they are and resampled."""
    strategies: tuple[StrategyAgreement, ...] = ()


class PositionEffect(StoredJson):
    """The position, from 1 on, at which picks are most unlike what the random order explains.

    seen, expected: the share of the candidates there that are picked, and the share that would be,
    did positions not matter.
    """

    position: int
    seen: float
    expected: float

    @property
    def ratio(self) -> float | None:
        """Returns how many times as often as expected a candidate is picked there."""
        return self.seen / self.expected if self.expected else None


class PersonPositions(StoredJson):
    """How the picks of one person lie over the positions. p: for this person alone; p_among: for
    anybody of the round."""

    user_id: int
    n: int
    effect: PositionEffect
    p: float
    p_among: float

    @property
    def stands_out(self) -> bool:
        """Whether positions matter for this person, whatever number of people was looked at."""
        return self.p_among < LEVEL


class PositionFigures(StoredJson):
    """Whether people pick candidates for where they stand."""

    n: int = 0
    """Answers that pick some candidates, but not all; others tell nothing of positions."""
    p: float | None = None
    """None where there are no such answers."""
    effect: PositionEffect | None = None
    """Of all people together."""
    p_together: float | None = None
    """Of all people together, as that of each of them; `p` is of whatever stands out most."""
    people: tuple[PersonPositions, ...] = ()

    @property
    def is_biased(self) -> bool:
        return self.p is not None and self.p < LEVEL


class AnchorFigures(StoredJson):
    """The fit rate of a round's items, and of its anchors now and the first time.

    Anchors are texts that were judged before; first_…: in the round that showed them first.
    """

    fit: Figure = Figure()
    """Of the items that count: the mean share of shown candidates that people picked."""
    n_anchors: int = 0
    first_number: int | None = None
    """None where the round has no anchors."""
    first_fit: float | None = None
    anchors: Figure = Figure()
    first_anchors: Figure = Figure()
    change: Figure = Figure()
    """Of the anchors, item by item: now less the first time."""

    @property
    def gained(self) -> float | None:
        """Returns what the fit rate rose since the round of the anchors."""
        if self.fit.value is None or self.first_fit is None:
            return None
        return self.fit.value - self.first_fit


class ComparisonFigures(StoredJson):
    """How the texts of the adapter that a round made were judged beside those of the one before it.

    Figures are of the items that were judged; `win` is of those that one of the two won.
    """

    comparison_id: int = 0
    judged_by: str = "people"
    """Or the critic of the round."""
    n_items: int = 0
    """On which both adapters came to texts."""
    n_judged: int = 0
    n_judgements: int = 0
    n_people: int = 0
    n_wins: int = 0
    n_losses: int = 0
    n_ties: int = 0
    n_identical: int = 0
    """Of the ties, those of items on which both drew the very same texts."""
    win: Figure = Figure()
    old: Figure = Figure()
    new: Figure = Figure()
    change: Figure = Figure()


class Pattern(StrEnum):
    """The choice that equal answers share: all candidates, none, or those at the same places."""

    ALL = "all"
    NONE = "none"
    PLACES = "places"
    """The same places are picked, whatever stands there."""


class SameAnswers(StoredJson):
    """Answers in a row that one person gave faster than their text can be skimmed, all the same."""

    pattern: Pattern
    places: tuple[int, ...] = ()
    """The places that are picked, counted from 1; empty unless the pattern is about places."""
    n: int
    by_chance: float
    """How many runs like this are expected in the round from people who read."""
    seconds: float
    """The middle of the times that they took,"""
    skimming_seconds: float
    """and of those below which nobody can have skimmed the text."""
    judgement_ids: tuple[int, ...] = ()
    """Of the first ones, in their order."""


class CheckAnswers(StoredJson):
    """How often a person was right about check items of a round, in the counts of `CheckCounts`."""

    n_items: int = 0
    n_hits: int = 0
    n_fit: int = 0
    n_rejected: int = 0
    n_misfit: int = 0


class PersonFigures(StoredJson):
    """How one person judged in a round."""

    user_id: int
    n_judgements: int = 0
    n_shown: int = 0
    """Candidates that they said yes or no of,"""
    n_picked: int = 0
    """and those that they picked."""
    counted_ms: int = 0
    per_item: Steps = ()
    """Of the answers whose time was measured: the time for each,"""
    per_candidate: Steps = ()
    """and that time shared among its candidates."""
    checks: CheckAnswers = CheckAnswers()
    same: tuple[SameAnswers, ...] = ()


class PeopleFigures(StoredJson):
    """The figures of everybody who judged in a round, also of those who saw check items only."""

    people: tuple[PersonFigures, ...] = ()


class YieldLine(StoredJson):
    """What one opener at one temperature brought: draws, shown and admitted texts, people's time.

    A text that several of them drew counts for each by its share of the draws, and so does the time
    that people spent on it.
    """

    strategy: str
    prompt: str
    temperature: float
    n_draws: int = 0
    n_tokens: int = 0
    """Of the draws of which they are known."""
    shown: float = 0.0
    admitted: float = 0.0
    human_ms: float = 0.0


class YieldFigures(StoredJson):
    """A line for each way in which a round sampled, and the workers' time of all together."""

    by_people: bool = True
    machine_seconds: float = 0.0
    lines: tuple[YieldLine, ...] = ()


class DoubtFigures(StoredJson):
    """How far what a model doubts of its own rationales is judged not to fit, over verdicts.

    precision: of the verdicts on what is doubted, the share that say that it does not fit; recall:
    of those that say so, the share that is on what is doubted. …_by_chance: of as many doubts at
    random. above: precision less that by chance.
    """

    by_people: bool = True
    was_shown: bool = False
    """Whether people saw the warning while they judged."""
    n_candidates: int = 0
    """Judged candidates that the model asked itself something about,"""
    n_items: int = 0
    n_doubted: int = 0
    """and those of which an answer differed."""
    n_verdicts: int = 0
    n_against: int = 0
    precision: Figure = Figure()
    recall: Figure = Figure()
    above: Figure = Figure()
    precision_by_chance: float | None = None
    recall_by_chance: float | None = None


class StrategyFind(StoredJson):
    """How many rationales one strategy of a round brought, and at what cost.

    A text that several drew counts for each in `n_shown` and `n_admitted`. In what is said of an
    admitted rationale it counts for each by its share of the draws, as the time of people does.
    """

    strategy: str
    n_draws: int = 0
    n_texts: int = 0
    """Distinct texts among them."""
    n_shown: int = 0
    n_admitted: int = 0
    n_admitted_alone: int = 0
    """Of these, the ones that no other strategy drew."""
    n_only: int = 0
    """Items of which nothing was admitted but what this strategy alone drew."""
    fit_rate: Figure = Figure()
    """The mean over items of the share of its shown texts that fit by a majority."""
    words: Figure = Figure()
    """The mean length of its shown texts."""
    tokens: Figure = Figure()
    """Generated, for each admitted rationale."""
    seconds: Figure = Figure()
    """Of workers that sampled, likewise; its interval is over shards."""
    minutes: Figure = Figure()
    """Of people, likewise; without a value where a critic judged."""


class StrategyFinds(StoredJson):
    """The strategies of a round; none where an older version measured a round of one."""

    by_people: bool = True
    n_items: int = 0
    """Items of which something was admitted."""
    n_shared: int = 0
    """Of these, the ones in which several strategies drew what was admitted."""
    strategies: tuple[StrategyFind, ...] = ()


class AssessmentResult(StoredJson):
    """The result of a run that gathers evidence: how many judgements it read."""

    n_judgements: int = 0
