"""The evidence of a round: what its judgements say of how far they can be trusted.

It is gathered by a run of its own and stored, so that pages only show it. Closing a round asks for
it, and so may an admin at any time.

A further kind of evidence is a member of `EvidenceKind`, a model of its figures in
`app/evidence.py`, and a line in `_KINDS` with what measures it. Whatever reads the judgements of a
round does so through `RoundJudgements`, which are read once for all kinds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from app.evidence import (
    AgreementFigures,
    AssessmentResult,
    Figure,
    PersonAgreement,
    PersonPositions,
    PositionEffect,
    PositionFigures,
    StrategyAgreement,
    StrategyFigures,
    StrategyFinds,
    YieldFigures,
)
from app.lifecycle import EvidenceKind
from app.metrics.agreement import (
    Picks,
    Verdicts,
    measure_people,
    measure_picks,
    measure_verdicts,
    pool_alpha,
    resample_alpha,
)
from app.metrics.positions import Effect, check_positions
from app.models import Round
from app.policy_trials import AdmissionTrials
from app.queries.quality import evidence as queries
from app.queries.quality.judgements import Ints, RoundJudgements, read_judgements
from app.queries.quality.trails import renew_trails
from app.queries.rounds.rounds import list_rounds
from app.queries.runs.runs import get_run, lock_run
from app.round_settings import LoopSettings
from app.run_results import StoredJson
from app.services.admission.checked import list_checked
from app.services.admission.trials import try_policies
from app.services.judging.questions.tally import measure_questions
from app.services.quality.doubts import measure_doubts
from app.services.quality.drift import measure_anchors
from app.services.quality.found import measure_found
from app.services.quality.people import measure_how_people_judge
from app.services.quality.winning import store_comparisons
from app.services.quality.yields import measure_yields
from app.services.runs import runs

OnProgress = Callable[[str, int, int], None]

READING = "reading judgements"


def gather_evidence(
    session: Session,
    run_id: int,
    *,
    attempt: int,
    on_progress: OnProgress = lambda _step, _done, _total: None,
) -> None:
    """Measure every kind of evidence of the round of a run, store it, and finish the run.

    on_progress: is told the step, the steps done and of how many; may raise to stop.
    Raises LostRun when the run was taken over, or cancelled, meanwhile.
    """
    run = get_run(session, run_id)
    round_ = session.get_one(Round, run.round_id)
    n_steps = len(_KINDS) + 1
    on_progress(READING, 0, n_steps)
    judgements = read_judgements(session, round_.id)
    for done, (kind, measuring) in enumerate(_KINDS.items(), start=1):
        on_progress(measuring.step, done, n_steps)
        figures = measuring.measure(session, round_, judgements)
        queries.store_evidence(
            session, round_.id, kind, figures.dump(), run_id=run_id, attempt=attempt
        )
    store_comparisons(session, round_, run_id=run_id, attempt=attempt)
    renew_trails(session, round_.project_id)
    run = lock_run(session, run_id)
    runs.finish_run(
        session, run, attempt=attempt, result=AssessmentResult(n_judgements=len(judgements))
    )


# --- Kinds ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measuring:
    """How a kind of evidence is measured. `step` is what the page says meanwhile."""

    step: str
    measure: Callable[[Session, Round, RoundJudgements], StoredJson]


def measure_agreement(
    _session: Session, _round: Round, judgements: RoundJudgements
) -> AgreementFigures:
    """Returns how far people agree: all together, and each with the others."""
    verdicts, people = verdicts_of(judgements)
    found = measure_verdicts(verdicts)
    own = measure_people(verdicts)
    n_judgements = np.bincount(np.searchsorted(people, judgements.user_id), minlength=len(people))
    return AgreementFigures(
        n_judgements=len(judgements),
        n_items=len(np.unique(judgements.item_id)),
        n_people=len(people),
        alpha=Figure.of(found.alpha),
        masi=Figure.of(measure_picks(picks_of(judgements, verdicts))),
        fleiss=Figure.of(found.fleiss),
        cohen=Figure.of(found.cohen),
        share_same=Figure.of(found.share_same),
        share_by_chance=found.share_by_chance,
        picked_share=found.picked_share,
        people=tuple(
            PersonAgreement(
                user_id=int(user_id),
                alpha=Figure.of(own[number]),
                n_judgements=int(n_judgements[number]),
                picked_share=float(verdicts.fits[verdicts.person == number].mean()),
            )
            for number, user_id in enumerate(people)
        ),
    )


def measure_strategies(
    session: Session, round_: Round, judgements: RoundJudgements
) -> StrategyFigures:
    """Returns how far people agree by strategy, over this round and those measured before it."""
    verdicts, _ = verdicts_of(judgements)
    own = resample_alpha(verdicts, seed=round_.id)
    # The texts of a mixed round are judged beside each other: its agreement is that of all.
    strategy = " + ".join(LoopSettings.model_validate(round_.settings).shares)
    sums = {strategy: [own]}
    others = [entry.id for entry in list_rounds(session, round_.project_id) if entry != round_]
    for stored in queries.list_evidence(session, others, [EvidenceKind.STRATEGIES]).values():
        other = StrategyFigures.read(stored.figures)
        sums.setdefault(other.strategy, []).append(np.array(other.sums))
    return StrategyFigures(
        strategy=strategy,
        sums=tuple((row[0], row[1], row[2]) for row in own.round(3).tolist()),
        strategies=tuple(
            StrategyAgreement(strategy=name, n_rounds=len(each), alpha=Figure.of(pool_alpha(each)))
            for name, each in sorted(sums.items())
        ),
    )


def measure_positions(
    _session: Session, _round: Round, judgements: RoundJudgements
) -> PositionFigures:
    """Returns whether people pick candidates for where they stand: all together, and each."""
    people, person = np.unique(judgements.user_id, return_inverse=True)
    judgement = judgements.judgement
    found = check_positions(judgement, person[judgement], judgements.position, judgements.fits)
    return PositionFigures(
        n=found.n,
        p=found.p,
        p_together=found.p_together,
        effect=_effect(found.effect) if found.effect else None,
        people=tuple(
            PersonPositions(
                user_id=int(people[own.person]),
                n=own.n,
                effect=_effect(own.effect),
                p=own.p,
                p_among=own.p_among,
            )
            for own in found.people
        ),
    )


def measure_admission(
    session: Session, round_: Round, _judgements: RoundJudgements
) -> AdmissionTrials:
    """Returns what each policy would admit, and keeps the votes that they were tried on."""
    return try_policies(session, round_, checked=list_checked(session, round_.project_id))


def measure_yield(session: Session, round_: Round, _judgements: RoundJudgements) -> YieldFigures:
    """Returns what each way of sampling brought for the time of people and machines."""
    return measure_yields(session, round_)


def measure_finds(session: Session, round_: Round, _judgements: RoundJudgements) -> StrategyFinds:
    return measure_found(session, round_)


_KINDS: Mapping[EvidenceKind, Measuring] = {
    EvidenceKind.AGREEMENT: Measuring("measuring agreement", measure_agreement),
    EvidenceKind.STRATEGIES: Measuring("measuring agreement", measure_strategies),
    EvidenceKind.POSITIONS: Measuring("testing positions", measure_positions),
    EvidenceKind.PEOPLE: Measuring("looking at how people judge", measure_how_people_judge),
    EvidenceKind.ADMISSION: Measuring("trying policies", measure_admission),
    EvidenceKind.ANCHORS: Measuring("comparing anchors", measure_anchors),
    EvidenceKind.YIELD: Measuring("measuring the yield", measure_yield),
    EvidenceKind.DOUBTS: Measuring(
        "comparing doubts with verdicts", lambda session, round_, _: measure_doubts(session, round_)
    ),
    EvidenceKind.FOUND: Measuring("measuring the yield", measure_finds),
    EvidenceKind.QUESTIONS: Measuring(
        "counting questions", lambda session, round_, _: measure_questions(session, round_)
    ),
}


def verdicts_of(judgements: RoundJudgements) -> tuple[Verdicts, Ints]:
    """Returns the verdicts with items, people and candidates numbered from 0 on, and the ids of the
    people."""
    people, person = np.unique(judgements.user_id, return_inverse=True)
    _, item = np.unique(judgements.item_id, return_inverse=True)
    _, candidate = np.unique(judgements.candidate_id, return_inverse=True)
    judgement = judgements.judgement
    return Verdicts(item[judgement], person[judgement], candidate, judgements.fits), people


def picks_of(judgements: RoundJudgements, verdicts: Verdicts) -> Picks:
    """Returns the picked sets, with the candidates of an item numbered in an order that has nothing
    to do with how they were drawn or shown."""
    n_candidates = int(verdicts.candidate.max(initial=-1)) + 1
    item = np.zeros(n_candidates, dtype=np.int64)
    item[verdicts.candidate] = verdicts.item
    order = np.lexsort((np.random.default_rng(0).random(n_candidates), item))
    n_of_item = np.bincount(item)
    first = np.cumsum(n_of_item) - n_of_item
    number = np.empty(n_candidates, dtype=np.int64)
    number[order] = np.arange(n_candidates) - first[item[order]]
    bits = np.where(verdicts.fits, 1 << number[verdicts.candidate], 0)
    first_verdict = np.cumsum(judgements.n_shown) - judgements.n_shown
    return Picks(
        item=verdicts.item[first_verdict],
        person=verdicts.person[first_verdict],
        picked=np.add.reduceat(bits, first_verdict) if len(bits) else bits,
    )


def _effect(effect: Effect) -> PositionEffect:
    return PositionEffect(position=effect.position + 1, seen=effect.seen, expected=effect.expected)
