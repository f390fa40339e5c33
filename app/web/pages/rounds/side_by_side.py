"""The page that compares any two rounds of a project, or one with the base model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from app.evidence import AgreementFigures, Figure
from app.kit.sentences import Sentence
from app.lifecycle import EvidenceKind, Job, Split
from app.measures import Interval, mean_interval, paired_interval
from app.models import Project, Score
from app.queries.projects.overview import find_effort
from app.queries.quality.evidence import list_evidence
from app.queries.rounds import side_by_side as queries
from app.queries.rounds.rounds import list_rounds, list_scores
from app.queries.rounds.side_by_side import AdmittedOf, Change, Flips, Paired, PairedMean
from app.round_settings import LoopSettings
from app.run_results import RoundFigures
from app.services.rounds.side_by_side import BASE, Side, find_sides
from app.web.pages.rounds.evidence import WHY_UNDEFINED
from app.web.pages.rounds.findings import flat_settings
from app.web.pages.rounds.scores import ANSWER_ACCURACY, FIT, METRICS, SOFT_ACCURACY, Metric

CHANGE_LABELS: Mapping[Change, Sentence] = {
    Change.IMPROVED: Sentence("Improved: the rationale began to fit"),
    Change.REGRESSED: Sentence("Regressed: the rationale ceased to fit"),
    Change.RIGHT: Sentence("The answer became right, without a rationale that began to fit"),
    Change.WRONG: Sentence("The answer became wrong, without a rationale that ceased to fit"),
    Change.ADMITTED: Sentence("Judged in both, admitted only after"),
    Change.NOT_ADMITTED: Sentence("Judged in both, admitted only before"),
}


@dataclass(frozen=True)
class ScoreLine:
    """A score on both sides; its change is that on the items that both scored, where `n` says how
    many those are."""

    metric: Metric
    before: Score | None
    after: Score | None
    change: float | None
    interval: Interval | None
    n: int | None

    @property
    def is_clear(self) -> bool:
        """Whether the interval of the change leaves out 0."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


@dataclass(frozen=True)
class ScoresOfSplit:
    split: Split
    lines: Sequence[ScoreLine]


@dataclass(frozen=True)
class ChangeLine:
    """How many items changed alike, with the address that lists them."""

    label: Sentence
    n: int
    url: str


@dataclass(frozen=True)
class FigureLine:
    """A figure of both rounds. form: how the page writes it (number, percent, minutes, seconds)."""

    label: Sentence
    before: float | None
    after: float | None
    form: str = "number"
    note_before: str = ""
    note_after: str = ""


@dataclass(frozen=True)
class SettingLine:
    name: str
    before: str
    after: str


@dataclass(frozen=True)
class SideBySidePage:
    project: Project
    choices: Sequence[tuple[int, Sentence]]
    before: Side
    after: Side
    scores: Sequence[ScoresOfSplit]
    changes: Sequence[ChangeLine]
    admitted: AdmittedOf | None
    """None where one side is the base model, which admits nothing."""
    figures: Sequence[FigureLine]
    settings: Sequence[SettingLine]


def side_by_side_page(
    session: Session, project: Project, *, before: int | None, after: int | None
) -> SideBySidePage | None:
    """Builds the page; None where the project has no round. Raises NotFound as `find_sides`."""
    sides = find_sides(session, project, before=before, after=after)
    if sides is None:
        return None
    first, second = sides
    paired = queries.compare_predictions(session, first.run_ids, second.run_ids)
    admitted = None
    if first.round and second.round and first.round is not second.round:
        admitted = queries.compare_admissions(session, first.round.id, second.round.id)
    return SideBySidePage(
        project=project,
        choices=round_choices(session, project),
        before=first,
        after=second,
        scores=_scores(session, first, second, paired),
        changes=_changes(project, first, second, paired, admitted),
        admitted=admitted,
        figures=_figures(session, first, second),
        settings=_settings(first, second),
    )


def round_choices(session: Session, project: Project) -> list[tuple[int, Sentence]]:
    """Returns the sides there are to choose from, by their numbers."""
    rounds = list_rounds(session, project.id)
    return [(BASE, Sentence("Base model")), *((r.number, side_label(r.number)) for r in rounds)]


def side_label(number: int) -> Sentence:
    """Returns how a side is called on pages."""
    if number == BASE:
        return Sentence("Base model")
    return Sentence("Round %(number)s", number=number)


def compare_url(project: Project, before: int, after: int) -> str:
    """Returns the address of the comparison of two rounds, by their numbers."""
    query = urlencode({"before": before, "after": after})
    return f"/projects/{project.slug}/side-by-side?{query}"


def changes_url(project: Project, before: int, after: int, change: Change, *, page: int = 1) -> str:
    """Returns the address of the list of items that changed so."""
    query: dict[str, object] = {"before": before, "after": after, "change": change.value}
    if page > 1:
        query["page"] = page
    return f"/projects/{project.slug}/side-by-side/items?{urlencode(query)}"


# --- Scores ---------------------------------------------------------------------------------


def _scores(
    session: Session, before: Side, after: Side, paired: Sequence[Paired]
) -> list[ScoresOfSplit]:
    old, new = _scores_by_name(session, before), _scores_by_name(session, after)
    by_split = {entry.split: entry for entry in paired}
    found = []
    for split in (Split.VALIDATION, Split.TEST):
        lines = [
            _score_line(metric, old.get((split, metric.name)), new.get((split, metric.name)),
                        by_split.get(split))
            for metric in METRICS
            if (split, metric.name) in old or (split, metric.name) in new
        ]  # fmt: skip
        if lines:
            found.append(ScoresOfSplit(split, lines))
    return found


def _scores_by_name(session: Session, side: Side) -> dict[tuple[Split, str], Score]:
    scores = list_scores(session, side.evaluation.id) if side.evaluation else ()
    return {(score.split, score.name): score for score in scores}


def _score_line(
    metric: Metric, before: Score | None, after: Score | None, paired: Paired | None
) -> ScoreLine:
    if paired is not None:
        of_pairs: dict[str, Flips | PairedMean] = {
            ANSWER_ACCURACY: paired.right,
            FIT: paired.fit,
            SOFT_ACCURACY: paired.soft,
        }
        found = of_pairs.get(metric.name)
        if found is not None:
            # Of no common items there is no change, whatever both sides say of their own.
            change, interval = _paired_change(found) if found.n else (None, None)
            return ScoreLine(metric, before, after, change, interval, found.n or None)
    change = after.value - before.value if before and after else None
    return ScoreLine(metric, before, after, change, None, None)


def _paired_change(found: Flips | PairedMean) -> tuple[float | None, Interval | None]:
    if isinstance(found, Flips):
        change = (found.n_began - found.n_ceased) / found.n
        return change, paired_interval(found.n_began, found.n_ceased, found.n)
    if found.mean is None or found.deviation is None:
        return found.mean, None
    return found.mean, mean_interval(found.mean, found.deviation, found.n)


# --- Items ----------------------------------------------------------------------------------


def _changes(
    project: Project,
    before: Side,
    after: Side,
    paired: Sequence[Paired],
    admitted: AdmittedOf | None,
) -> list[ChangeLine]:
    numbers = {
        change: sum(entry.changes.get(change, 0) for entry in paired)
        for change in Change
        if paired and change not in queries.OF_ADMISSION
    }
    if admitted is not None:
        numbers[Change.ADMITTED] = admitted.n_only_after
        numbers[Change.NOT_ADMITTED] = admitted.n_only_before
    return [
        ChangeLine(
            CHANGE_LABELS[change], n, changes_url(project, before.number, after.number, change)
        )
        for change, n in numbers.items()
    ]


# --- Figures and settings of the rounds -----------------------------------------------------


def _figures(session: Session, before: Side, after: Side) -> list[FigureLine]:
    stored = [RoundFigures.find(side.round.figures) if side.round else None
              for side in (before, after)]  # fmt: skip
    lines = [*_counted(*stored), *_agreement(session, before, after)]
    lines += _effort(session, before, after, *stored)
    return [line for line in lines if line.before is not None or line.after is not None]


def _counted(before: RoundFigures | None, after: RoundFigures | None) -> Iterator[FigureLine]:
    def line(label: Sentence, name: str, form: str = "number") -> FigureLine:
        old, new = (getattr(figures, name) if figures else None for figures in (before, after))
        return FigureLine(label, old, new, form)

    yield line(Sentence("Items sampled"), "n_open")
    yield line(Sentence("Covered so far"), "n_covered")
    yield line(Sentence("Newly covered"), "newly_covered")
    yield line(Sentence("Admitted rationales"), "n_admitted")
    yield line(Sentence("Draws that fit"), "fitting_share", "percent")


def _agreement(session: Session, before: Side, after: Side) -> Iterator[FigureLine]:
    ids = [side.round.id if side.round else 0 for side in (before, after)]
    stored = list_evidence(session, ids, [EvidenceKind.AGREEMENT])
    found = [
        AgreementFigures.read(stored[(id_, EvidenceKind.AGREEMENT)].figures).alpha
        if (id_, EvidenceKind.AGREEMENT) in stored
        else None
        for id_ in ids
    ]
    old, new = found
    yield FigureLine(
        Sentence("Agreement (Krippendorff's alpha)"),
        old.value if old else None,
        new.value if new else None,
        "figure",
        _interval_words(old),
        _interval_words(new),
    )


def _interval_words(figure: Figure | None) -> str:
    if figure is None:
        return ""
    if figure.undefined is not None:
        return WHY_UNDEFINED[figure.undefined]
    if figure.low is None or figure.high is None:
        return ""
    return Sentence("%(low)s to %(high)s", low=f"{figure.low:.2f}", high=f"{figure.high:.2f}")


def _effort(
    session: Session,
    before: Side,
    after: Side,
    old: RoundFigures | None,
    new: RoundFigures | None,
) -> Iterator[FigureLine]:
    before_minutes, after_minutes = _minutes(session, before), _minutes(session, after)
    yield FigureLine(Sentence("Time of people"), before_minutes, after_minutes, "minutes")
    yield FigureLine(
        Sentence("Time of people per admitted rationale"),
        _each(before_minutes, old),
        _each(after_minutes, new),
        "minutes",
    )
    spent = [
        queries.seconds_of_round(session, side.round.id) if side.round else {}
        for side in (before, after)
    ]
    for job, label in _WORK.items():
        yield FigureLine(label, spent[0].get(job), spent[1].get(job), "seconds")
    yield FigureLine(Sentence("Tokens of monologues"), _tokens(old), _tokens(new))


def _minutes(session: Session, side: Side) -> float | None:
    return find_effort(session, side.round).counted_ms / 60_000 if side.round else None


def _each(minutes: float | None, figures: RoundFigures | None) -> float | None:
    """Returns the minutes per admitted rationale, where both are known."""
    if not minutes or figures is None or not figures.n_admitted:
        return None
    return minutes / figures.n_admitted


def _tokens(figures: RoundFigures | None) -> int | None:
    """Returns how many tokens monologues took; None where there were none."""
    if figures is None:
        return None
    sampled = figures.episodes.tokens if figures.episodes else 0
    rewarded = figures.rewarded.n_tokens if figures.rewarded else 0
    return sampled + rewarded or None


_WORK = {
    Job.GENERATE: Sentence("Time of sampling"),
    Job.TRAIN: Sentence("Time of training"),
    Job.REINFORCE: Sentence("Time of learning from rewards"),
    Job.EVALUATE: Sentence("Time of evaluating"),
}


def _settings(before: Side, after: Side) -> list[SettingLine]:
    """Returns the settings that differ; those of a base model are none."""
    if before.round is None or after.round is None:
        return []
    old, new = (
        dict(flat_settings(LoopSettings.model_validate(side.settings).model_dump(mode="json")))
        for side in (before.round, after.round)
    )
    return [
        SettingLine(name, old.get(name, "–"), new.get(name, "–"))
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]
