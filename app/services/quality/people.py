"""How each person of a round judged, made of all their answers: measured by a job."""

from collections.abc import Mapping

import numpy as np
from sqlalchemy.orm import Session

from app.check_score import CheckCounts
from app.evidence import CheckAnswers, Pattern, PeopleFigures, PersonFigures, SameAnswers
from app.metrics.same_answers import ALL, NONE, Answers, Flags, Floats, Run, find_runs
from app.models import Round
from app.pace import Steps, step_of
from app.queries.quality.checks import list_counts
from app.queries.quality.judgements import Ints, RoundJudgements
from app.reading_time import SHORTEST_MS_PER_WORD

MAX_NAMED = 100
"""So many answers of a run are kept by their numbers, for pages to list."""


def measure_how_people_judge(
    session: Session, round_: Round, judgements: RoundJudgements
) -> PeopleFigures:
    """Returns how each person judged: their times, their picks, and answers that tell of nothing
    read."""
    checks = list_counts(session, round_.project_id, round_id=round_.id)
    return describe_people(judgements, checks)


def describe_people(
    judgements: RoundJudgements, checks: Mapping[int, CheckCounts]
) -> PeopleFigures:
    """Returns how each person judged. checks: what each said of the check items of the round."""
    people, person = np.unique(judgements.user_id, return_inverse=True)
    same: dict[int, list[SameAnswers]] = {}
    for run in find_runs(_answers(judgements, person)):
        same.setdefault(int(people[run.person]), []).append(_describe_run(judgements, run))
    n_picked = _n_picked(judgements)
    figures = []
    for user_id in sorted({*people.tolist(), *checks}):
        own = judgements.user_id == user_id
        is_timed = own & (judgements.active_ms > 0)
        counted = judgements.counted_ms[is_timed].astype(np.float64)
        figures.append(
            PersonFigures(
                user_id=user_id,
                n_judgements=int(own.sum()),
                n_shown=int(judgements.n_shown[own].sum()),
                n_picked=int(n_picked[own].sum()),
                counted_ms=int(counted.sum()),
                per_item=_steps(counted),
                per_candidate=_steps(counted / judgements.n_shown[is_timed]),
                checks=_checks(checks.get(user_id)),
                same=tuple(same.get(user_id, ())),
            )
        )
    return PeopleFigures(people=tuple(figures))


def _answers(judgements: RoundJudgements, person: Ints) -> Answers:
    _, item = np.unique(judgements.item_id, return_inverse=True)
    bits = np.where(judgements.fits, 1 << judgements.position, 0)
    return Answers(
        person=person,
        item=item,
        at=judgements.submitted_at,
        n_shown=judgements.n_shown,
        picked=_sum_per_judgement(judgements, bits),
        is_fast=_is_fast(judgements),
    )


def _is_fast(judgements: RoundJudgements) -> Flags:
    """Whether an answer came much faster than its text can be skimmed; not where no time was
    measured."""
    is_fast: Flags = (judgements.active_ms > 0) & (
        judgements.active_ms < judgements.n_words * SHORTEST_MS_PER_WORD
    )
    return is_fast


def _n_picked(judgements: RoundJudgements) -> Ints:
    return _sum_per_judgement(judgements, judgements.fits.astype(np.int64))


def _sum_per_judgement(judgements: RoundJudgements, of_verdicts: Ints) -> Ints:
    first = np.cumsum(judgements.n_shown) - judgements.n_shown
    if not len(first):
        return of_verdicts
    added: Ints = np.add.reduceat(of_verdicts, first)
    return added


def _describe_run(judgements: RoundJudgements, run: Run) -> SameAnswers:
    named = {ALL: Pattern.ALL, NONE: Pattern.NONE}
    places = [place + 1 for place in range(64) if run.pattern > 0 and run.pattern >> place & 1]
    return SameAnswers(
        pattern=named.get(run.pattern, Pattern.PLACES),
        places=tuple(places),
        n=len(run.answers),
        by_chance=run.by_chance,
        seconds=float(np.median(judgements.active_ms[run.answers])) / 1000,
        skimming_seconds=float(np.median(judgements.n_words[run.answers]))
        * SHORTEST_MS_PER_WORD
        / 1000,
        judgement_ids=tuple(judgements.id[run.answers[:MAX_NAMED]].tolist()),
    )


def _steps(ms: Floats) -> Steps:
    steps, counts = np.unique([step_of(one) for one in ms.tolist()], return_counts=True)
    return tuple(zip(steps.astype(int).tolist(), counts.tolist(), strict=True))


def _checks(counts: CheckCounts | None) -> CheckAnswers:
    return CheckAnswers.model_validate(counts, from_attributes=True) if counts else CheckAnswers()
