"""Training on the prior: alone in a round of its own, or beside what people admitted."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput
from app.lifecycle import Decision, Job, RoundStatus, RunStatus
from app.models import (
    Item,
    Project,
    ProjectImage,
    Round,
    Run,
    RunShard,
    Sample,
    TrainingRow,
)
from app.queries.rounds.training_items import ManifestRow, list_manifest
from app.round_settings import LoopSettings, TrainingSettings
from app.run_results import TrainingResult
from app.services.dataset.formats.episodes import EpisodeLine
from app.services.dataset.formats.problems import Place
from app.services.dataset.items import correct_item, exclude_item
from app.services.dataset.prior import import_prior, remove_prior
from app.services.rounds import rounds
from app.services.rounds.moving_on import finish_round_run
from app.services.rounds.starting import start_round
from app.strategies.monologue import MonologueTrace, Outcome, Turn
from tests.support.factories import (
    make_candidate,
    make_item,
    make_project,
    make_round,
    make_round_item,
    make_run,
    make_user,
)
from tests.support.judging import open_item, submit
from tests.support.rounds_in_process import close_now

LOOK = Turn(asked="what color is the ball?", observed="red")
ALONE = {
    "strategy": "monologue",
    "training": {"source": "prior", "replay_ratio": 0},
}
BESIDE = {"strategy": "monologue", "training": {"replay_ratio": 0}, "auto_advance": False}


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def items(session: Session, project: Project) -> list[Item]:
    return [make_item(session, project) for _ in range(3)]


def give_prior(
    session: Session, project: Project, items: Sequence[Item], rationale: str | None = "it is red"
) -> None:
    lines = [
        EpisodeLine(Place("prior.jsonl", number), item.external_id, (LOOK,), "red", rationale)
        for number, item in enumerate(items, start=1)
    ]
    import_prior(session, project, lines, actor=None)


def start(session: Session, project: Project, settings: dict[str, Any]) -> Round:
    loop = LoopSettings.model_validate(settings)
    round_ = rounds.create_round(session, project, settings=loop, actor=None)
    start_round(session, round_, actor=None)
    session.flush()
    return round_


def trainings(session: Session, round_: Round) -> list[Run]:
    return list(
        session.scalars(
            select(Run).where(Run.round_id == round_.id, Run.job == Job.TRAIN).order_by(Run.id)
        )
    )


def finish(session: Session, run: Run, result: TrainingResult | None = None) -> None:
    run.status, run.attempt = RunStatus.RUNNING, 1
    session.flush()
    finish_round_run(session, run.id, attempt=1, result=result or TrainingResult())
    session.flush()


def test_a_round_on_the_prior_trains_each_role_at_once(
    session: Session, project: Project, items: list[Item]
) -> None:
    give_prior(session, project, items[:2])
    round_ = start(session, project, ALONE)
    assert round_.status is RoundStatus.TRAINING
    runs = trainings(session, round_)
    assert [run.role for run in runs] == ["reasoner", "observer"]
    for run in runs:
        assert run.parameters == {
            "n_rationale_rows": 2,
            "n_written_rows": 0,
            "n_prior_rows": 2,
            "n_answer_only_rows": 0,
            "balance": 1.0,
        }
        assert [
            (row.item.id, row.answer, row.rationale, row.turns, row.is_of_prior)
            for row in list_manifest(session, run.id)
        ] == [(item.id, "red", "it is red", (LOOK,), True) for item in items[:2]]


def test_what_follows_a_round_on_the_prior_samples_from_it(
    session: Session, project: Project, items: list[Item]
) -> None:
    give_prior(session, project, items)
    round_ = start(session, project, ALONE | {"auto_continue": True})
    for run in trainings(session, round_):
        finish(session, run)
    session.refresh(round_)
    assert (round_.status, round_.decision) == (RoundStatus.COMPLETED, Decision.CONTINUE)
    assert round_.decision_reason == (
        "The model has learned from the prior; the next round samples from it."
    )
    following = session.scalars(select(Round).where(Round.number == round_.number + 1)).one()
    assert following.status is RoundStatus.GENERATING
    assert LoopSettings.model_validate(following.settings).training.source == "admitted"


def test_the_limit_of_rounds_holds_for_rounds_on_the_prior(
    session: Session, project: Project, items: list[Item]
) -> None:
    give_prior(session, project, items)
    round_ = start(session, project, ALONE | {"stop": {"round_limit": 1}})
    for run in trainings(session, round_):
        finish(session, run)
    assert round_.decision is Decision.ROUND_LIMIT


def test_a_round_on_the_prior_is_refused_where_there_is_none_or_its_strategy_learns_none(
    session: Session, project: Project, items: list[Item]
) -> None:
    def refused(settings: dict[str, Any], fault: str) -> None:
        with pytest.raises(InvalidInput, match=fault), session.begin_nested():
            start(session, project, settings)

    refused(ALONE, "There is no prior to train on: import one with illume prior import")
    give_prior(session, project, items[:1])
    refused(ALONE | {"strategy": "direct"}, "The strategy direct learns nothing from a prior")
    exclude_item(session, items[0], reason="blurred", actor=None)
    refused(ALONE, "the items of all episodes of the prior are excluded, set aside or reworded")
    with pytest.raises(ValueError, match="leave corrected texts out"):
        TrainingSettings(source="prior", written=True)


def test_the_prior_is_learned_beside_what_is_admitted_unless_the_settings_say_no(
    session: Session, project: Project, items: list[Item]
) -> None:
    give_prior(session, project, items[1:], rationale=None)
    found = {}
    for number, (name, changes) in enumerate(
        {
            "with": {},
            "without": {"monologue": {"with_prior": False}},
            "direct": {"strategy": "direct"},
        }.items(),
        start=1,
    ):
        settings = LoopSettings.model_validate(BESIDE | changes)
        round_ = make_round(session, project, number=number, settings=settings)
        make_round_item(session, round_, items[0], texts=(f"reason {number}",))
        judgement = open_item(session, round_, make_user(session))
        submit(session, judgement, picked=list(judgement.shown_order))
        close_now(session, round_)
        found[name] = [
            [(row.rationale, row.is_of_prior) for row in list_manifest(session, run.id)]
            for run in trainings(session, round_)
        ]
        round_.status, round_.decision = RoundStatus.COMPLETED, Decision.CONTINUE
        session.flush()
    of_prior = [(None, True), (None, True)]
    assert found == {
        "with": [[("reason 1", False), *of_prior]] * 2,
        "without": [[("reason 1", False), ("reason 2", False)]] * 2,
        "direct": [[(f"reason {number}", False) for number in (1, 2, 3)]],
    }


def test_episodes_of_items_that_cannot_be_used_are_not_learned(
    session: Session, project: Project, items: list[Item]
) -> None:
    withdrawn = make_item(session, project)
    give_prior(session, project, [*items, withdrawn])
    exclude_item(session, items[0], reason="blurred", actor=None)
    correct_item(session, items[1], question="and the cube?", answer="red", actor=None)
    image = session.get_one(ProjectImage, (project.id, withdrawn.image_sha256))
    image.withdrawn_at = session.scalar(select(Item.created_at).limit(1))
    session.flush()
    (run, _) = trainings(session, start(session, project, ALONE))
    assert [row.item.id for row in list_manifest(session, run.id)] == [items[2].id]


def test_a_training_goes_on_with_episodes_that_were_removed_meanwhile(
    session: Session, project: Project, items: list[Item]
) -> None:
    give_prior(session, project, items)
    (run, _) = trainings(session, start(session, project, ALONE))
    before = list_manifest(session, run.id)
    remove_prior(session, project, actor=None)
    session.flush()
    assert list_manifest(session, run.id) == before


# --- The monologue of a candidate -------------------------------------------------------------


def draw(session: Session, run: Run, item: Item, candidate_id: int | None, **changes: Any) -> None:
    """A draw of a monologue, in a shard of its own."""
    number = session.query(RunShard).count() + 1
    shard = RunShard(run_id=run.id, number=number, item_ids=[item.id], attempt=1)
    session.add(shard)
    session.flush()
    values: dict[str, Any] = {"strategy": "monologue", "log_probability": -1.0, "trace": None}
    values |= changes
    session.add(
        Sample(
            run_id=run.id,
            shard_id=shard.id,
            shard_attempt=1,
            item_id=item.id,
            candidate_id=candidate_id,
            prompt=", seeing that",
            temperature=0.3,
            number=number,
            seed=1,
            **values,
        )
    )
    session.flush()


def trace(asked: str, outcome: Outcome = Outcome.EXPLAINED) -> dict[str, Any]:
    made = MonologueTrace(
        turns=(Turn(asked=asked, observed="red", asked_tokens=(5, 6), log_probability=-0.5),),
        outcome=outcome,
        answer="Red",
        answer_tokens=(7,),
        rationale_tokens=(8, 9),
    )
    return made.model_dump(mode="json")


def manifest_of(session: Session, run: Run, item: Item, candidate_id: int) -> ManifestRow:
    session.add(TrainingRow(run_id=run.id, item_id=item.id, candidate_id=candidate_id))
    session.flush()
    (row,) = list_manifest(session, run.id)
    return row


def test_a_candidate_brings_the_monologue_of_its_most_probable_draw(
    session: Session, project: Project, items: list[Item]
) -> None:
    item, candidate = items[0], make_candidate(session, items[0], "it is red")
    for number, probabilities in ((1, {"first": -3.0, "second": -1.0}), (2, {"third": -2.0})):
        round_ = make_round(session, project, number=number, status=RoundStatus.CANCELLED)
        run = make_run(session, project, Job.GENERATE, round_=round_, status=RunStatus.RUNNING)
        for asked, probability in probabilities.items():
            draw(session, run, item, candidate.id, log_probability=probability, trace=trace(asked))
        draw(session, run, item, candidate.id, log_probability=None, trace=trace("unknown"))
        draw(session, run, item, None, trace=trace("wrong", Outcome.WRONG_ANSWER))
        draw(session, run, item, candidate.id, strategy="direct", log_probability=-0.1)
    training = make_run(session, project, Job.TRAIN, round_=round_)
    row = manifest_of(session, training, item, candidate.id)
    assert [turn.asked for turn in row.turns] == ["second"]
    assert row.turns[0].asked_tokens == (5, 6)
    assert (row.answer, row.rationale) == ("red", "it is red"), "the item's, as it is written"
    assert (row.answer_tokens, row.rationale_tokens) == ((7,), (8, 9))


def test_a_candidate_that_no_monologue_led_to_has_no_turns(
    session: Session, project: Project, items: list[Item]
) -> None:
    item, candidate = items[0], make_candidate(session, items[0], "it is red")
    round_ = make_round(session, project, status=RoundStatus.CANCELLED)
    run = make_run(session, project, Job.GENERATE, round_=round_, status=RunStatus.RUNNING)
    draw(session, run, item, candidate.id, strategy="direct", trace={"served": True})
    row = manifest_of(session, make_run(session, project, Job.TRAIN), item, candidate.id)
    assert (row.answer, row.rationale, row.turns) == ("red", "it is red", ())
    assert (row.answer_tokens, row.rationale_tokens) == (None, None)
