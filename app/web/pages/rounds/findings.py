"""What is stored about a round, below the part of its page that renews itself.

It is rendered with the page, and again only when something of it has changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.evidence import StrategyFind
from app.kit.sentences import Sentence
from app.lifecycle import JUDGEABLE_ROUND, Job
from app.models import Project, Round
from app.queries.history import HistoryLine, list_round_events
from app.queries.rounds.progress import RoundProgress
from app.queries.rounds.rounds import list_rounds
from app.round_settings import LoopSettings
from app.run_results import EvaluationResult
from app.web.pages.judging.question_figures import AskedPart, asked_part
from app.web.pages.quality.adjudication import Progress, find_progress
from app.web.pages.quality.coverage import CoveragePart, coverage_part
from app.web.pages.quality.doubts import DoubtsPart, doubts_part
from app.web.pages.quality.found import FoundPart, cost_of_one, found_part
from app.web.pages.quality.item_map import MapPart, map_parts
from app.web.pages.quality.not_understood import UnclearPart, unclear_part
from app.web.pages.quality.yields import YieldPart, yield_part
from app.web.pages.rounds.anchors import AnchorsPart, anchors_part
from app.web.pages.rounds.comparison import ComparisonPart, comparison_part
from app.web.pages.rounds.evidence import EvidencePart, evidence_part, is_being_measured
from app.web.pages.rounds.policies import Trials, find_trials
from app.web.pages.rounds.scores import (
    Move,
    ScoreTable,
    list_moves,
    list_notes,
    score_tables,
    tell_fit,
)


@dataclass(frozen=True)
class Section:
    """A section of a round's page: its id there, its heading and its file."""

    id: str
    title: Sentence
    template: str


SECTIONS = (
    Section("coverage", Sentence("Coverage over the rounds"), "round/_coverage.html"),
    Section("scores", Sentence("Scores on held-out items"), "round/_scores.html"),
    Section("strategies", Sentence("The strategies of this round"), "round/_found.html"),
    Section("comparison", Sentence("New adapter against the one before"), "round/_comparison.html"),
    Section("agreement", Sentence("Agreement"), "round/_evidence.html"),
    Section("anchors", Sentence("Better model, or milder people?"), "round/_anchors.html"),
    Section("doubts", Sentence("Does the model know when it is wrong?"), "round/_doubts.html"),
    Section("questions", Sentence("Questions of the model"), "round/_asked.html"),
    Section("adjudication", Sentence("Adjudication"), "round/_adjudication.html"),
    Section("policies", Sentence("What policies would admit"), "round/_policies.html"),
    Section("map", Sentence("Items over the rounds"), "round/_map.html"),
    Section("yield", Sentence("Yield of the sampling"), "round/_yield.html"),
    Section(
        "not-understood", Sentence("What could not be understood"), "round/_not_understood.html"
    ),
)
"""In the order in which the decision on the next round needs them."""
OF_JUDGING = ("agreement", "adjudication", "policies", "anchors")
"""What the decision to close judging needs: these come first while people judge."""


@dataclass(frozen=True)
class RoundFindings:
    """What a round brought, and how far it can be trusted: a section of the page for each."""

    round_id: int
    is_judged: bool
    """Whether judging is over."""
    coverage: CoveragePart | None
    """None before a round was decided."""
    yields: YieldPart | None
    """None before anything was admitted."""
    maps: Sequence[MapPart]
    """How items fared in the rounds up to this one, by split."""
    moves: Sequence[Move]
    """What could have moved since the base model."""
    scores: tuple[ScoreTable, ...]
    score_notes: Sequence[tuple[str, str]]
    meteor_note: str
    fit_critic: str
    fit_note: Sentence | None
    """Of how many items the critic tells the fit, where it does not of all."""
    evidence: EvidencePart | None
    """None where a critic judges, or nobody has judged yet."""
    found: FoundPart | None
    """None in a round of one strategy."""
    cost: StrategyFind | None
    """Of an admitted rationale in a round of one strategy; None in one of several."""
    comparison: ComparisonPart | None
    """None where the round made no adapter."""
    anchors: AnchorsPart | None
    """None where a critic judges, or the project has no anchors."""
    doubts: DoubtsPart | None
    """None where the model doubted nothing that was judged."""
    asked: AskedPart | None
    """None where the model asked nothing about images."""
    unclear: UnclearPart | None
    """None where every monologue was understood, or the round is judged blind."""
    trials: Trials
    shows_trials: bool
    adjudication: Progress
    events: Sequence[HistoryLine]
    setting_lines: Sequence[tuple[str, str]]

    @property
    def sections(self) -> list[Section]:
        """Returns the sections that have something to show, what decides in front."""
        is_there = {
            "coverage": self.coverage,
            "scores": self.scores,
            "strategies": self.found,
            "comparison": self.comparison,
            "agreement": self.evidence,
            "anchors": self.anchors,
            "doubts": self.doubts,
            "questions": self.asked,
            "adjudication": self.adjudication.counts.n_items,
            "policies": self.shows_trials,
            "map": self.maps,
            "yield": self.yields,
            "not-understood": self.unclear,
        }
        found = [section for section in SECTIONS if is_there[section.id]]
        if not self.is_judged:
            found.sort(key=lambda section: section.id not in OF_JUDGING)
        return found


def round_findings(session: Session, round_: Round, progress: RoundProgress) -> RoundFindings:
    settings = LoopSettings.model_validate(round_.settings)
    is_by_people = settings.judging.judges.are_people
    scores = score_tables(progress.baseline_scores, progress.scores)
    trials = find_trials(session, round_)
    return RoundFindings(
        round_id=round_.id,
        is_judged=round_.status not in JUDGEABLE_ROUND,
        coverage=coverage_part(list_rounds(session, round_.project_id), round_),
        yields=yield_part(session, round_),
        maps=map_parts(session, round_),
        moves=list_moves(progress.baseline_scores, progress.scores),
        scores=scores,
        score_notes=list_notes(scores),
        meteor_note=_meteor_note(progress),
        fit_critic=settings.evaluation.critic,
        fit_note=tell_fit(progress.scores or progress.baseline_scores, settings.evaluation.critic),
        evidence=evidence_part(session, round_, progress) if is_by_people else None,
        found=found_part(session, round_),
        cost=cost_of_one(session, round_),
        comparison=comparison_part(session, round_),
        anchors=anchors_part(session, round_) if is_by_people else None,
        doubts=doubts_part(session, round_),
        asked=asked_part(
            session,
            session.get_one(Project, round_.project_id),
            round_,
            is_by_critic=not is_by_people and round_.status in JUDGEABLE_ROUND,
            is_being_counted=is_being_measured(progress),
        ),
        unclear=unclear_part(session, round_, progress.episodes),
        trials=trials,
        shows_trials=bool(progress.n_submitted or (trials.found and trials.found.n_submitted)),
        adjudication=find_progress(session, round_),
        events=list_round_events(session, round_.id),
        setting_lines=flat_settings(settings.model_dump(mode="json")),
    )


def _meteor_note(progress: RoundProgress) -> str:
    """Returns why there is no METEOR among the scores; nothing where there is, or was no need."""
    runs = {entry.run.job: entry.run for entry in progress.runs}
    run = runs.get(Job.EVALUATE) or runs.get(Job.BASELINE)
    return (EvaluationResult.read(run.result).meteor_note or "") if run else ""


def flat_settings(data: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Returns settings as (name, value) lines, names of groups joined by dots."""
    lines: list[tuple[str, str]] = []
    for name, value in data.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict):
            lines += flat_settings(value, f"{path}.")
        elif isinstance(value, list):
            lines.append((path, " · ".join(str(entry) for entry in value)))
        else:
            lines.append((path, "–" if value is None else str(value)))
    return lines
