"""Marks and corrected observations: part of the draft, rows at submission, gone when taken back."""

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput
from app.lifecycle import Job, RoundStatus
from app.models import (
    CorrectedObservation,
    Judgement,
    JudgementRevision,
    Project,
    Round,
    RoundItem,
    Run,
    Sample,
    TrainingRow,
    TurnMark,
    User,
)
from app.opinions import Opinion
from app.queries.rounds.rewards import find_marks
from app.services.accounts.erasure import erase_person
from app.services.judging import judgements
from app.services.judging.opinions import opinion_of
from app.services.judging.ways import Way, find_ways
from app.strategies.monologue import MonologueTrace
from tests.support.factories import make_item, make_round, make_round_item, make_user
from tests.support.judging import (
    BALL,
    CONE,
    MAT,
    locked,
    make_episodes,
    make_monologue_round,
    open_item,
    submit,
)


@pytest.fixture
def round_(session: Session) -> Round:
    round_ = make_monologue_round(session)
    make_episodes(session, round_, {"both are small": [(CONE, BALL), (MAT,)]})
    return round_


@pytest.fixture
def judgement(session: Session, round_: Round) -> Judgement:
    return open_item(session, round_, make_user(session, name="Noor"))


@pytest.fixture
def way(session: Session, round_: Round, judgement: Judgement) -> Way:
    ((way,),) = find_ways(session, round_, judgement).values()
    return way


def marks(session: Session) -> set[tuple[int, int, str, str]]:
    rows = session.scalars(select(TurnMark))
    return {(row.sample_id, row.turn, row.of, row.value) for row in rows}


def corrections(session: Session) -> set[tuple[int, int, str]]:
    rows = session.scalars(select(CorrectedObservation))
    return {(row.sample_id, row.turn, row.text) for row in rows}


def test_marks_are_kept_with_the_draft_and_are_rows_once_submitted(
    session: Session, judgement: Judgement, way: Way
) -> None:
    draw = way.sample_id
    says = {
        "marks": {draw: {1: {"question": "yes", "observation": "no"}, 2: {"question": "no"}}},
        "corrections": {draw: {1: "large"}},
    }
    draft = Opinion.model_validate(says)
    judgements.save_draft(session, locked(session, judgement), draft, version=0)
    assert opinion_of(judgement) == draft
    assert marks(session) == set()
    submit(session, judgement, none_fits=True, **says)
    assert marks(session) == {
        (draw, 1, "question", "yes"),
        (draw, 1, "observation", "no"),
        (draw, 2, "question", "no"),
    }
    assert corrections(session) == {(draw, 1, "large")}
    (revision,) = session.scalars(select(JudgementRevision))
    assert revision.content["marks"] == {
        str(draw): {"1": {"observation": "no", "question": "yes"}, "2": {"question": "no"}}
    }
    back = judgements.take_back(session, locked(session, judgement))
    assert (marks(session), corrections(session)) == (set(), set())
    assert opinion_of(back) == Opinion.model_validate({**says, "none_fits": True})


def test_what_people_marked_rewards_draws_that_look_so_again(
    session: Session, round_: Round, judgement: Judgement, way: Way
) -> None:
    says = {
        "marks": {
            way.sample_id: {1: {"question": "yes", "observation": "no"}, 2: {"question": "no"}}
        }
    }
    run = Run(project_id=round_.project_id, round_id=round_.id, job=Job.REINFORCE)
    session.add(run)
    session.flush()
    item_id = session.get_one(RoundItem, judgement.round_item_id).item_id
    session.add(TrainingRow(run_id=run.id, item_id=item_id))
    assert isinstance(way.trace, MonologueTrace)
    cone, mat = (one.model_copy(update={"asked": one.asked.upper()}) for one in way.trace.turns)
    assert len(find_marks(session, run.id)) == 0, "a draft says nothing yet"
    submit(session, judgement, none_fits=True, **says)
    known = find_marks(session, run.id)
    assert known.of(item_id, cone) == (1.0, -1.0)
    assert known.of(item_id, mat) == (-1.0, None)
    unseen = cone.model_copy(update={"observed": "enormous"})
    assert known.of(item_id, unseen) == (1.0, None)
    assert known.of(item_id + 1, cone) == (None, None)


def test_a_correction_that_says_what_was_observed_is_none(
    session: Session, judgement: Judgement, way: Way
) -> None:
    submit(
        session,
        judgement,
        none_fits=True,
        corrections={way.sample_id: {1: " small ", 2: "a bit small"}},
    )
    assert corrections(session) == {(way.sample_id, 2, "a bit small")}


@pytest.mark.parametrize(
    ("turn", "of", "value", "said"),
    [
        (3, "question", "yes", "does not belong"),
        (0, "question", "yes", "does not belong"),
        (1, "answer", "yes", "no mark “answer: yes”"),
        (1, "question", "perhaps", "no mark “question: perhaps”"),
    ],
)
def test_marks_of_what_is_not_there_are_refused(
    session: Session,
    judgement: Judgement,
    way: Way,
    turn: int,
    of: str,
    value: str,
    said: str,
) -> None:
    opinion = Opinion(marks={way.sample_id: {turn: {of: value}}})
    with pytest.raises(InvalidInput, match=said):
        judgements.save_draft(session, locked(session, judgement), opinion, version=0)
    assert judgement.version == 0


def test_a_draw_of_another_item_is_not_marked_with_this_one(
    session: Session, round_: Round, judgement: Judgement, way: Way
) -> None:
    other = make_episodes(session, round_, {"it is so": [(CONE,)]})
    draw = session.scalars(select(Sample.id).where(Sample.item_id == other.item_id)).one()
    opinion = Opinion(marks={draw: {1: {"question": "yes"}}})
    with pytest.raises(InvalidInput, match="does not belong"):
        judgements.save_draft(session, locked(session, judgement), opinion, version=0)
    submit(session, judgement, none_fits=True)
    for turn, sample in ((1, draw), (3, way.sample_id)):
        with pytest.raises(IntegrityError, match="a turn is of a draw"), session.begin_nested():
            mark_directly(session, judgement, sample, turn)


def mark_directly(session: Session, judgement: Judgement, draw: int, turn: int) -> None:
    row = TurnMark(judgement_id=judgement.id, sample_id=draw, turn=turn, of="question", value="yes")
    session.add(row)
    session.flush()


def test_marks_never_change(session: Session, judgement: Judgement, way: Way) -> None:
    submit(
        session,
        judgement,
        none_fits=True,
        marks={way.sample_id: {1: {"question": "yes"}}},
        corrections={way.sample_id: {1: "large"}},
    )
    for change in ("mark SET value = 'no'", "corrected_observation SET text = 'huge'"):
        with pytest.raises(IntegrityError, match="append-only"), session.begin_nested():
            session.execute(text(f"UPDATE {change}"))


def test_a_mark_of_a_round_without_traces_is_refused(session: Session, round_: Round) -> None:
    straight = follow(session, round_)
    judgement = open_item(session, straight, make_user(session))
    with pytest.raises(InvalidInput, match="does not belong"):
        submit(session, judgement, none_fits=True, marks={1: {1: {"question": "yes"}}})


def test_corrections_go_with_their_author_and_marks_stay(
    session: Session, judgement: Judgement, way: Way
) -> None:
    person = judgement.user_id
    submit(
        session,
        judgement,
        none_fits=True,
        marks={way.sample_id: {1: {"question": "yes"}}},
        corrections={way.sample_id: {1: "her own words"}},
    )
    admin = make_user(session, is_admin=True)
    author = session.get_one(User, person)
    erase_person(session, author, typed_name=author.name, actor=admin)
    session.expire_all()
    assert corrections(session) == {(way.sample_id, 1, "")}, "that it was found untrue"
    assert judgement.corrections == {}
    (revision,) = session.scalars(select(JudgementRevision))
    assert "corrections" not in revision.content
    assert marks(session) == {(way.sample_id, 1, "question", "yes")}


def test_a_submission_without_marks_asks_the_database_no_more_than_without_traces(
    session: Session, round_: Round, judgement: Judgement
) -> None:
    of_traces = statements_of_submitting(session, judgement)
    straight = open_item(session, follow(session, round_), make_user(session))
    assert of_traces == statements_of_submitting(session, straight)


def follow(session: Session, round_: Round) -> Round:
    """The next round of the project, of the strategy `direct`."""
    round_.status = RoundStatus.CANCELLED
    session.flush()
    project = session.get_one(Project, round_.project_id)
    straight = make_round(session, project, number=2)
    make_round_item(session, straight, make_item(session, project))
    return straight


def statements_of_submitting(session: Session, judgement: Judgement) -> int:
    session.flush()
    asked: list[object] = []
    engine = session.connection().engine

    def hear(*arguments: object) -> None:
        asked.append(arguments)

    event.listen(engine, "before_cursor_execute", hear)
    submit(session, judgement, none_fits=True)
    event.remove(engine, "before_cursor_execute", hear)
    return len(asked)
