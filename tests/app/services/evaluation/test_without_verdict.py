"""Held-out items that the critic cannot judge: what is stored and measured of them."""

from collections.abc import Mapping, Sequence

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.lifecycle import Job, RoundStatus, RunStatus, ShardStatus, Split
from app.models import Item, Prediction, Project, Round, Run, RunShard
from app.round_settings import LoopSettings
from app.services.evaluation.predictions import (
    Predicted,
    Said,
    list_outcomes,
    measure_outcomes,
    store_predictions,
)
from app.services.evaluation.text_scores import Figure
from app.services.rounds.figures import collect_figures
from app.services.runs.runs import fail_run, retry_run
from tests.support.factories import make_item, make_project, make_round, make_run

SETTINGS = LoopSettings.model_validate({"evaluation": {"critic": "rouge:0.5", "meteor": False}})
FITS = Said("red", "the ball is red")
MISSES = Said("red", "no idea")
WRONG = Said("blue", "the ball is red")


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session, settings=SETTINGS)


def make_held_out(
    session: Session, project: Project, *, gold: int = 0, bare: int = 0
) -> tuple[list[Item], list[Item]]:
    """Validation items with a gold rationale, and without; all with several people's answers."""
    found: tuple[list[Item], list[Item]] = ([], [])
    for own, n, rationales in zip(found, (gold, bare), (("the ball is red",), ()), strict=True):
        for _ in range(n):
            item = make_item(session, project, split=Split.VALIDATION, gold_rationales=rationales)
            item.answers = ["red"] * 4
            own.append(item)
    session.flush()
    return found


def evaluate(
    session: Session,
    project: Project,
    said: Mapping[int, Said],
    *,
    round_: Round | None = None,
    blank: Said | None = None,
    settings: LoopSettings = SETTINGS,
) -> Run:
    """What a worker stores of an evaluation in which the model said this of each item."""
    job = Job.EVALUATE if round_ else Job.BASELINE
    run = make_run(session, project, job, round_=round_, status=RunStatus.RUNNING)
    run.parameters = {"base_model": SETTINGS.base_model, "revision": SETTINGS.revision}
    shard = take_shard(session, run, list(said))
    predicted = [Predicted(item_id, one, blank) for item_id, one in said.items()]
    write(session, run, shard, predicted, settings)
    run.status, run.finished_at = RunStatus.SUCCEEDED, run.created_at
    session.flush()
    return run


def take_shard(session: Session, run: Run, item_ids: list[int], number: int = 0) -> RunShard:
    shard = RunShard(
        run_id=run.id, number=number, item_ids=item_ids, attempt=1, status=ShardStatus.RUNNING
    )
    session.add(shard)
    session.flush()
    return shard


def write(
    session: Session,
    run: Run,
    shard: RunShard,
    predicted: Sequence[Predicted],
    settings: LoopSettings = SETTINGS,
) -> None:
    store_predictions(
        session,
        run=run,
        shard_id=shard.id,
        attempt=1,
        predicted=predicted,
        settings=settings,
        seconds=0.1,
    )


def figures_of(session: Session, run: Run) -> dict[str, Figure]:
    measured = measure_outcomes(list_outcomes(session, run.id), SETTINGS)
    return {figure.name: figure for figure in measured.figures.get(Split.VALIDATION, [])}


def verdicts_of(session: Session, run: Run) -> list[bool | None]:
    rows = select(Prediction.fits).where(Prediction.run_id == run.id).order_by(Prediction.item_id)
    return list(session.scalars(rows))


def test_items_without_a_gold_rationale_get_no_verdict_and_lower_no_share(
    session: Session, project: Project
) -> None:
    gold, bare = make_held_out(session, project, gold=3, bare=3)
    texts = zip([*gold, *bare], [FITS, MISSES, WRONG] * 2, strict=True)
    run = evaluate(session, project, {item.id: said for item, said in texts})

    # A wrong answer of an item that cannot be judged is no "no fit" either.
    assert verdicts_of(session, run) == [True, False, False, None, None, None]
    figures = figures_of(session, run)
    fit, right = figures["fit"], figures["answer_accuracy"]
    assert (fit.value, fit.n) == (pytest.approx(1 / 3), 3)
    assert fit.interval is not None
    assert (right.value, right.n) == (pytest.approx(4 / 6), 6)
    unjudged = session.scalars(
        select(Prediction).where(Prediction.run_id == run.id, Prediction.fits.is_(None))
    ).all()
    # All else of them is there.
    assert [(one.answer, one.rationale, one.fault) for one in unjudged] == [
        (said.answer, said.rationale, None) for said in (FITS, MISSES, WRONG)
    ]
    assert [one.soft_accuracy for one in unjudged] == [1.0, 1.0, 0.0]


def test_where_no_item_can_be_judged_there_is_no_figure_of_fit(
    session: Session, project: Project
) -> None:
    _, bare = make_held_out(session, project, bare=3)
    run = evaluate(session, project, {item.id: FITS for item in bare}, blank=WRONG)
    figures = figures_of(session, run)
    assert not [name for name in figures if "fit" in name]
    assert (figures["answer_accuracy"].value, figures["answer_accuracy"].n) == (1.0, 3)
    assert figures["blank_answer_accuracy"].n == 3
    assert figures["soft_accuracy"].n == 3


def test_a_blank_picture_is_judged_where_the_own_one_is(session: Session, project: Project) -> None:
    gold, bare = make_held_out(session, project, gold=2, bare=2)
    run = evaluate(session, project, {item.id: FITS for item in [*gold, *bare]}, blank=MISSES)
    rows = session.scalars(select(Prediction).order_by(Prediction.item_id)).all()
    assert [row.blank_fits for row in rows] == [False, False, None, None]
    assert {row.blank_rationale for row in rows} == {"no idea"}
    assert figures_of(session, run)["blank_fit"].n == 2


def test_a_scene_that_the_exact_critic_cannot_read_stops_nothing(
    session: Session, project: Project
) -> None:
    item = make_item(session, project, split=Split.VALIDATION, facts={"caption": "a red ball"})
    settings = LoopSettings.model_validate({"evaluation": {"critic": "exact", "meteor": False}})
    run = evaluate(session, project, {item.id: FITS}, settings=settings)
    assert verdicts_of(session, run) == [None]


def test_an_evaluation_that_stopped_at_such_an_item_goes_on_when_it_is_retried(
    session: Session, project: Project
) -> None:
    gold, bare = make_held_out(session, project, gold=2, bare=2)
    failed = make_run(session, project, Job.BASELINE, status=RunStatus.RUNNING)
    shards = [
        take_shard(session, failed, [item.id for item in items], number)
        for number, items in enumerate((gold, bare))
    ]
    write(session, failed, shards[0], [Predicted(item.id, FITS, MISSES) for item in gold])
    shards[1].status = ShardStatus.WAITING
    fail_run(session, failed.id, attempt=failed.attempt, error="It needs gold rationales.")

    again = retry_run(session, failed, actor=None)
    shard = session.scalars(select(RunShard).where(RunShard.run_id == again.id)).one()
    shard.attempt, shard.status = 1, ShardStatus.RUNNING
    session.flush()
    assert shard.item_ids == [item.id for item in bare]
    write(session, again, shard, [Predicted(item.id, FITS, MISSES) for item in bare])
    figures = figures_of(session, again)
    assert (figures["fit"].n, figures["answer_accuracy"].n) == (2, 4)
    assert (figures["blank_fit"].n, figures["blank_answer_accuracy"].n) == (2, 4)


# --- What a round is decided by ---------------------------------------------------------------


def measured(session: Session, project: Project, round_: Round) -> tuple[int, int, int | None]:
    figures = collect_figures(session, round_)
    return figures.improved, figures.regressed, figures.n_measured


def test_items_improve_and_regress_only_where_both_measurements_judged_them(
    session: Session, project: Project
) -> None:
    gold, bare = make_held_out(session, project, gold=3, bare=2)
    late = bare[0]
    round_ = make_round(session, project, status=RoundStatus.EVALUATING, settings=SETTINGS)
    everything = [*gold, *bare]
    before = [FITS, MISSES, MISSES, MISSES, MISSES]
    evaluate(session, project, {i.id: s for i, s in zip(everything, before, strict=True)})
    # Judged from now on: it did not begin to fit, nobody knows how it was.
    late.gold_rationales = ["the ball is red"]
    session.flush()
    after = [MISSES, FITS, FITS, FITS, FITS]
    evaluate(
        session, project, {i.id: s for i, s in zip(everything, after, strict=True)}, round_=round_
    )
    assert measured(session, project, round_) == (2, 1, 3)


def test_without_any_verdict_it_is_known_that_nothing_was_compared(
    session: Session, project: Project
) -> None:
    _, bare = make_held_out(session, project, bare=2)
    round_ = make_round(session, project, status=RoundStatus.EVALUATING, settings=SETTINGS)
    for of_round in (None, round_):
        evaluate(session, project, {item.id: FITS for item in bare}, round_=of_round)
    assert measured(session, project, round_) == (0, 0, 0)
    assert collect_figures(session, round_).is_fit_unknown
