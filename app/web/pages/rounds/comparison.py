"""The part of a round's page that compares the adapter it made with the one before it.

Nothing is measured here: what was stored is put into words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.evidence import ComparisonFigures
from app.kit.sentences import Amount, CountedSentence, Sentence, Share
from app.lifecycle import LIVE_RUN, EvidenceKind, Job, RunStatus
from app.models import Adapter, Comparison, Project, Round, Run
from app.queries.quality.comparisons import (
    ComparisonCounts,
    count_progress,
    find_comparison,
)
from app.queries.quality.evidence import list_evidence
from app.queries.rounds.progress import RoundProgress
from app.queries.rounds.rounds import list_round_models
from app.queries.runs.runs import get_run
from app.round_settings import PEOPLE, LoopSettings
from app.services.quality.comparisons import MOST_ITEMS, count_free, list_comparable

USUAL_ITEMS = 50


@dataclass(frozen=True)
class ComparisonPart:
    """What the page shows of a comparison, or the form that asks for one."""

    round_id: int
    strategy: str | None
    """Whose adapters are compared, in a round of several strategies; None before it is asked."""
    strategies: tuple[str, ...]
    """Those that could be, of which one has to be chosen; none in a round of one."""
    before: Sentence
    judges: Sentence
    stands: Sentence | None
    """How far it is; None where there is none."""
    at: datetime | None
    figures: ComparisonFigures | None
    """None until something of it is measured."""
    words: Sentence | None
    can_ask: bool
    n_free: int
    """Test items that are left to ask for."""
    n_usual: int
    most: int
    can_cancel: bool
    can_retry: bool
    can_measure: bool


def comparison_part(session: Session, round_: Round) -> ComparisonPart | None:
    """Returns the comparison of a completed round; None where it made no adapter."""
    comparable = list_comparable(session, round_)
    if not comparable:
        return None
    comparison = find_comparison(session, round_.id)
    settings = LoopSettings.model_validate(round_.settings)
    judges = settings.judging.judges
    is_archived = session.get_one(Project, round_.project_id).archived_at is not None
    n_free = count_free(session, round_) if comparison is None else 0
    run = get_run(session, comparison.run_id) if comparison and comparison.run_id else None
    compared = [run.strategy] if run and run.strategy else comparable
    counts = count_progress(session, comparison.id) if comparison else None
    stored, at = _find_stored(session, round_, comparison)
    is_all_judged = counts is not None and 0 < counts.n_comparable <= counts.n_judged
    return ComparisonPart(
        round_id=round_.id,
        strategy=run.strategy if run and settings.is_mixed else None,
        strategies=tuple(comparable) if settings.is_mixed else (),
        before=_name_before(session, round_, compared),
        judges=_name_judges(judges),
        stands=_stands(run, counts) if run and counts else None,
        at=at,
        figures=stored,
        words=words_of(stored) if stored else None,
        can_ask=comparison is None and not is_archived and n_free > 0,
        n_free=n_free,
        n_usual=min(USUAL_ITEMS, n_free),
        most=min(MOST_ITEMS, n_free),
        can_cancel=comparison is not None and not is_all_judged,
        can_retry=run is not None and run.status is RunStatus.FAILED and not is_archived,
        can_measure=judges.are_people
        and counts is not None
        and counts.n_judgements > (stored.n_judgements if stored else 0),
    )


def is_being_compared(progress: RoundProgress) -> bool:
    """Whether texts of two adapters are being sampled."""
    return any(
        entry.run.job is Job.COMPARE and entry.run.status in LIVE_RUN for entry in progress.runs
    )


def words_of(found: ComparisonFigures) -> Sentence:
    """Returns which adapter the verdicts prefer, by the interval of the win rate."""
    win = found.win
    if win.value is None or win.low is None or win.high is None:
        return CountedSentence(
            "No difference: the %(n)s item that was judged is a tie.",
            "No difference: all %(n)s items that were judged are ties.",
            n=found.n_judged,
        )
    parts = {
        "wins": Amount(found.n_wins),
        "n": Amount(win.n),
        "share": Share(win.value),
        "low": Share(win.low),
        "high": Share(win.high),
    }
    if win.low > 0.5:
        return Sentence(
            "The new adapter is preferred: it won %(wins)s of the %(n)s items that one of the two "
            "won, %(share)s (interval %(low)s to %(high)s).",
            **parts,
        )
    if win.high < 0.5:
        return Sentence(
            "The one before is preferred: the new adapter won %(wins)s of the %(n)s items that one "
            "of the two won, %(share)s (interval %(low)s to %(high)s).",
            **parts,
        )
    return Sentence(
        "No difference is shown: the new adapter won %(wins)s of the %(n)s items that one of the "
        "two won, %(share)s (interval %(low)s to %(high)s).",
        **parts,
    )


def _find_stored(
    session: Session, round_: Round, comparison: Comparison | None
) -> tuple[ComparisonFigures | None, datetime | None]:
    """The figures of the comparison; those of one that was cancelled are not shown."""
    stored = list_evidence(session, [round_.id], [EvidenceKind.COMPARISON])
    evidence = stored.get((round_.id, EvidenceKind.COMPARISON))
    if evidence is None or comparison is None:
        return None, None
    figures = ComparisonFigures.read(evidence.figures)
    return (figures, evidence.at) if figures.comparison_id == comparison.id else (None, None)


def _name_before(session: Session, round_: Round, strategies: Sequence[str]) -> Sentence:
    """What the adapters of these strategies were made from, where it is one thing for all."""
    parents = {
        model.parent_adapter_id
        for model in list_round_models(session, round_.id)
        if model.strategy in strategies and model.new_adapter_id
    }
    if parents == {None}:
        return Sentence("the base model")
    made_in = {
        session.get_one(Run, session.get_one(Adapter, id_).run_id).round_id if id_ else None
        for id_ in parents
    }
    round_id = made_in.pop()
    if made_in or round_id is None:
        return Sentence("the adapter before")
    return Sentence(
        "the adapter of round %(number)s", number=session.get_one(Round, round_id).number
    )


def _name_judges(judges: str) -> Sentence:
    if judges == PEOPLE:
        return Sentence("Judged by people, blind, among the items of the next round.")
    return Sentence("Judged by a critic (%(critic)s), not by people.", critic=judges)


def _stands(run: Run, counts: ComparisonCounts) -> Sentence:
    """Says how far a comparison is."""
    if run.status in LIVE_RUN:
        return CountedSentence(
            "Texts of both are being sampled for %(n)s test item.",
            "Texts of both are being sampled for %(n)s test items.",
            n=counts.n_items,
        )
    if run.status is not RunStatus.SUCCEEDED:
        return Sentence("The sampling failed; what was sampled is kept.")
    if not counts.n_comparable:
        return Sentence("There is nothing to compare: on no item did both come to texts.")
    if not counts.n_placed:
        return CountedSentence(
            "%(n)s item waits for the next round that people judge.",
            "%(n)s items wait for the next round that people judge.",
            n=counts.n_comparable,
        )
    return Sentence(
        "%(done)s of %(n)s items are judged.",
        done=Amount(counts.n_judged),
        n=Amount(counts.n_comparable),
    )
