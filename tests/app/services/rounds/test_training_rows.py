"""What a training reads: admitted rationales, and people's own texts where the project says so."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.lifecycle import Decision, Job, Purpose, RoundStatus, Split
from app.models import (
    Candidate,
    Judgement,
    Project,
    Round,
    Run,
    TrainingRow,
    User,
    WrittenRationale,
)
from app.queries.rounds.training_items import list_manifest
from app.round_settings import LoopSettings, TrainingSettings
from app.services.judging import judgements, opening
from app.services.rounds import rounds
from app.services.rounds.training_rows import plan_trainings
from app.services.runs import runs
from tests.support.factories import (
    make_item,
    make_project,
    make_round,
    make_round_item,
    make_run,
    make_user,
)
from tests.support.judging import locked, make_episodes, submit
from tests.support.rounds_in_process import close_now

TEXTS = ("it is red", "it is blue", "there is a ball")
BETTER = "The ball in the corner is red."
ON = LoopSettings(
    training=TrainingSettings(written=True, replay_ratio=0), auto_advance=False
).model_dump()


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


def open_round(
    session: Session, project: Project, *, number: int = 1, slots: int = 1, **changes: Any
) -> Round:
    """A round with one train item, of which people see three candidates."""
    settings = LoopSettings.model_validate(ON | changes)
    round_ = make_round(session, project, number=number, settings=settings)
    item = make_item(session, project)
    make_round_item(session, round_, item, texts=TEXTS, slots=slots)
    return round_


def judge(
    session: Session,
    round_: Round,
    *,
    picked: str = "",
    edits: Mapping[str, str],
    user: User | None = None,
) -> Judgement:
    """Submit the next item: one text picked (or none fits), and texts as they should be."""
    judgement = opening.open_next_item(session, round_, user or make_user(session))
    assert judgement is not None
    by_text = {
        candidate.text: candidate.id
        for candidate in session.scalars(
            select(Candidate).where(Candidate.id.in_(judgement.shown_order))
        )
    }
    submit(
        session,
        judgement,
        picked=[by_text[picked]] if picked else [],
        none_fits=not picked,
        edits={by_text[text]: better for text, better in edits.items()},
    )
    return judgement


def close(session: Session, round_: Round) -> Run | None:
    """Close judging; the training that begins."""
    close_now(session, round_)
    return session.scalars(
        select(Run).where(Run.round_id == round_.id, Run.job == Job.TRAIN)
    ).one_or_none()


def trained(session: Session, run: Run | None) -> list[tuple[str | None, bool]]:
    """(rationale, whether a person wrote it) of every row of a training."""
    assert run is not None
    return [(row.rationale, row.is_written) for row in list_manifest(session, run.id)]


def test_corrected_texts_are_left_out_unless_asked_for(session: Session, project: Project) -> None:
    assert LoopSettings().training.written is False
    round_ = open_round(session, project, training={"replay_ratio": 0})
    judge(session, round_, picked="it is red", edits={"it is blue": BETTER})
    run = close(session, round_)
    assert trained(session, run) == [("it is red", False)]
    assert run is not None
    assert run.parameters["n_written_rows"] == 0


@pytest.mark.parametrize(
    ("model", "tokens"), [("demo", (5, 6, 7)), ("another", None)], ids=["same", "another"]
)
def test_tokens_are_learned_by_the_base_that_sampled_them_alone(
    model: str, tokens: tuple[int, ...] | None, session: Session, project: Project
) -> None:
    """To another one they would be other words: it learns the texts."""
    settings = LoopSettings.model_validate(ON | {"strategy": "monologue"})
    first = make_round(session, project, settings=settings)
    make_episodes(session, first, {"it is so": [[("is it bright ?", "no")]]})
    candidate = session.scalars(select(Candidate)).one()
    first.status = RoundStatus.CANCELLED
    later = settings.model_copy(update={"base_model": model})
    second = make_round(session, project, number=2, settings=later)
    run = make_run(session, project, Job.TRAIN, round_=second)
    session.add(TrainingRow(run_id=run.id, item_id=candidate.item_id, candidate_id=candidate.id))
    session.flush()
    (row,) = list_manifest(session, run.id)
    assert [(turn.asked, turn.observed) for turn in row.turns] == [("is it bright ?", "no")]
    assert row.turns[0].asked_tokens == tokens


def test_a_corrected_text_is_trained_on_beside_what_is_admitted(
    session: Session, project: Project
) -> None:
    round_ = open_round(session, project)
    judge(session, round_, picked="it is red", edits={"it is blue": BETTER})
    run = close(session, round_)
    assert trained(session, run) == [("it is red", False), (BETTER, True)]
    assert run is not None
    assert run.parameters == {
        "n_rationale_rows": 2,
        "n_written_rows": 1,
        "n_answer_only_rows": 0,
        "balance": 1.0,
    }


def test_the_same_text_is_one_row_however_many_write_it(session: Session, project: Project) -> None:
    round_ = open_round(session, project, slots=2)
    first = {"it is blue": BETTER, "there is a ball": "the ball, in the corner, is red"}
    judge(session, round_, picked="it is red", edits=first)
    second = {"it is blue": "the ball in the corner is RED"}
    judge(session, round_, picked="it is red", edits=second)
    run = close(session, round_)
    assert trained(session, run) == [("it is red", False), (BETTER, True)]


def test_a_text_that_was_judged_is_left_to_its_verdicts(session: Session, project: Project) -> None:
    round_ = open_round(session, project)
    edits = {"it is blue": "It is red!", "it is red": "There is a ball."}
    judge(session, round_, picked="it is red", edits=edits)
    assert trained(session, close(session, round_)) == [("it is red", False)]


def test_what_was_taken_back_is_not_trained_on(session: Session, project: Project) -> None:
    round_ = open_round(session, project, slots=2)
    judge(session, round_, picked="it is red", edits={})
    judgement = judge(session, round_, picked="it is red", edits={"it is blue": BETTER})
    judgements.take_back(session, locked(session, judgement))
    assert trained(session, close(session, round_)) == [("it is red", False)]


def test_corrected_texts_alone_are_enough_to_train(session: Session, project: Project) -> None:
    round_ = open_round(session, project)
    judge(session, round_, edits={"it is blue": BETTER})
    assert trained(session, close(session, round_)) == [(BETTER, True)]


def test_without_any_rationale_the_round_ends(session: Session, project: Project) -> None:
    round_ = open_round(session, project)
    judge(session, round_, edits={})
    assert close(session, round_) is None
    assert round_.status is RoundStatus.COMPLETED


def test_later_rounds_train_on_the_same_rows_again(session: Session, project: Project) -> None:
    first = open_round(session, project)
    judge(session, first, picked="it is red", edits={"it is blue": BETTER})
    before = trained(session, close(session, first))
    first.status, first.decision = RoundStatus.COMPLETED, Decision.CONTINUE
    second = open_round(session, project, number=2)
    judge(session, second, picked="it is red", edits={})
    assert trained(session, close(session, second)) == [*before, ("it is red", False)]


def test_a_manifest_that_is_written_again_is_the_same(session: Session, project: Project) -> None:
    round_ = open_round(session, project, slots=2)
    for better in (BETTER, "the ball is as red as a fire"):
        judge(session, round_, picked="it is red", edits={"it is blue": better})
    run = close(session, round_)
    assert run is not None
    runs.cancel_run(session, run, actor=None)
    (again,) = plan_trainings(session, round_, LoopSettings.model_validate(ON), actor=None)
    assert again is not None
    assert again.parameters == run.parameters
    assert trained(session, again) == trained(session, run)


@pytest.mark.parametrize("has_admitted", [False, True])
def test_a_cancelled_round_counts_once_it_has_admitted(
    session: Session, project: Project, has_admitted: bool
) -> None:
    first = open_round(session, project)
    judge(session, first, picked="it is red", edits={"it is blue": BETTER})
    if has_admitted:
        close_now(session, first)
    rounds.cancel_round(session, first, actor=None)
    second = open_round(session, project, number=2)
    judge(session, second, picked="it is red", edits={})
    rows = trained(session, close(session, second))
    assert ((BETTER, True) in rows) is has_admitted


def test_excluded_items_and_those_in_doubt_are_not_trained_on(
    session: Session, project: Project
) -> None:
    round_ = open_round(session, project)
    excluded, doubtful = make_item(session, project), make_item(session, project)
    make_round_item(session, round_, excluded, texts=TEXTS)
    place = make_round_item(session, round_, doubtful, texts=TEXTS)
    user = make_user(session)
    for _ in range(3):
        judge(session, round_, picked="it is red", edits={"it is blue": BETTER}, user=user)
    excluded.excluded_at = excluded.created_at
    place.state = place.state.SET_ASIDE
    session.flush()
    assert trained(session, close(session, round_)) == [("it is red", False), (BETTER, True)]


def test_texts_of_held_out_items_are_never_trained_on(session: Session, project: Project) -> None:
    round_ = open_round(session, project)
    measured = make_item(session, project, split=Split.TEST)
    make_round_item(session, round_, measured, texts=TEXTS, purpose=Purpose.MEASURE)
    user = make_user(session)
    for _ in range(2):
        judge(session, round_, picked="it is red", edits={"it is blue": BETTER}, user=user)
    assert len(session.scalars(select(WrittenRationale)).all()) == 2
    assert trained(session, close(session, round_)) == [("it is red", False), (BETTER, True)]


def test_what_was_trained_on_can_be_neither_changed_nor_deleted(
    session: Session, project: Project
) -> None:
    round_ = open_round(session, project)
    judge(session, round_, picked="it is red", edits={"it is blue": BETTER})
    close(session, round_)
    for statement, rule in (
        (update(WrittenRationale).values(text="something else"), "written_rationale"),
        (delete(WrittenRationale), "fk_training_row_written_rationale"),
    ):
        with pytest.raises(IntegrityError, match=rule), session.begin_nested():
            session.execute(statement)


def test_gold_rationales_stay_alone() -> None:
    with pytest.raises(ValueError, match="leave corrected texts out"):
        TrainingSettings(source="gold", written=True)
