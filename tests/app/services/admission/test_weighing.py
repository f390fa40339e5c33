"""Admission that weighs people: what is decided, stored, kept with it and released."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.lifecycle import RoundItemState
from app.metrics.dawid_skene import RightOfAsked
from app.models import Admission, AdmissionDecision, Candidate, Project, Round, RoundItem, User
from app.queries.quality.judgements import read_judgements
from app.round_settings import AdmissionSettings, LoopSettings
from app.run_results import Weighing
from app.services.admission.apply import admit
from app.services.admission.checked import list_checked
from app.services.judging import opening
from app.services.quality.evidence import measure_admission
from app.services.releases.figures import Figures
from app.services.releases.rows import build_rows
from tests.support.factories import make_item, make_project, make_round, make_round_item, make_user
from tests.support.judging import submit
from tests.support.quality.checks import first_of, is_check, judge_some, make_checks, settings_with
from tests.support.rounds_in_process import close_now

WEIGHED = AdmissionSettings(policy="dawid_skene", probability=0.9)
RIGHT, WRONG = "the ball is red", "the ball is blue"
SETTINGS = LoopSettings(admission=WEIGHED, auto_advance=False)


@pytest.fixture
def round_(session: Session) -> Round:
    return make_round(session, make_project(session), settings=SETTINGS)


def add_items(session: Session, round_: Round, number: int, *, slots: int) -> None:
    project = session.get_one(Project, round_.project_id)
    for _ in range(number):
        item = make_item(session, project)
        make_round_item(session, round_, item, texts=[RIGHT, WRONG], slots=slots)


def judge_all(session: Session, round_: Round, person: User, picks: str) -> None:
    while (judgement := opening.open_next_item(session, round_, person)) is not None:
        texts = {id_: session.get_one(Candidate, id_).text for id_ in judgement.shown_order}
        picked = [id_ for id_, text in texts.items() if text == picks]
        submit(session, judgement, picked=picked, none_fits=not picked)


@pytest.fixture
def people(session: Session, round_: Round) -> list[User]:
    """Three people pick what is right, the last one what is wrong, of 12 items all of them. One
    more item was judged by the first of them and the last one only."""
    good, *others, contrary = [make_user(session) for _ in range(4)]
    add_items(session, round_, 12, slots=4)
    for person in others:
        judge_all(session, round_, person, RIGHT)
    add_items(session, round_, 1, slots=2)
    judge_all(session, round_, good, RIGHT)
    judge_all(session, round_, contrary, WRONG)
    states = session.scalars(select(RoundItem.state)).all()
    assert states == [RoundItemState.DONE] * 13
    return [good, *others, contrary]


def texts_of(session: Session) -> list[str]:
    statement = select(Candidate.text).join(Admission, Admission.candidate_id == Candidate.id)
    return list(session.scalars(statement))


def test_who_is_mostly_wrong_counts_for_less(
    session: Session, round_: Round, people: list[User]
) -> None:
    counted = admit(session, round_, AdmissionSettings(policy="majority"))
    assert counted.n_rationales == 12, "a tie of two is no majority"
    weighed = admit(session, round_, WEIGHED)
    assert texts_of(session) == [RIGHT] * 13
    assert (weighed.n_rationales, weighed.n_items, weighed.n_judged_items) == (13, 13, 13)
    rows = session.scalars(select(Admission)).all()
    assert {row.policy for row in rows} == {"dawid_skene_0.9"}
    assert all(row.probability is not None and 0.9 <= row.probability <= 1 for row in rows)
    assert admit(session, round_, WEIGHED) == weighed


def test_what_it_decided_with_is_kept(session: Session, round_: Round, people: list[User]) -> None:
    close_now(session, round_)
    decision = session.get_one(AdmissionDecision, round_.id)
    assert (decision.policy, decision.n_rationales) == ("dawid_skene_0.9", 13)
    assert decision.weighing is not None
    weighing = Weighing.read(decision.weighing)
    assert weighing.probability == 0.9
    assert weighing.before.fitting == (8, 10)
    assert weighing.share_fitting == pytest.approx(0.5, abs=0.01)
    assert weighing.n_iterations > 1
    assert weighing.log_likelihood < 0
    by_user = {person.user_id: person for person in weighing.people}
    assert [by_user[person.id].n_votes for person in people] == [26, 24, 24, 26]
    sensitivity = [by_user[person.id].sensitivity or 0 for person in people]
    assert min(sensitivity[:3]) > 0.85
    assert sensitivity[3] < 0.45

    admit(session, round_, AdmissionSettings(policy="any"))
    session.refresh(decision)
    assert (decision.policy, decision.weighing) == ("any", None)


def test_results_of_check_items_are_known_beforehand(
    session: Session, round_: Round, people: list[User]
) -> None:
    """The contrary one has passed 100 checks of either kind and the others have failed theirs."""
    always = RightOfAsked(100, 100, 100, 100)
    never = RightOfAsked(0, 100, 0, 100)
    checked = {person.id: never for person in people[:3]} | {people[3].id: always}
    admit(session, round_, WEIGHED, checked=checked)
    assert texts_of(session) == [WRONG] * 13
    weighing = session.get_one(AdmissionDecision, round_.id).weighing
    assert weighing is not None
    assert weighing["n_checked"] == 4


def test_closing_knows_what_people_said_of_check_items(session: Session) -> None:
    settings = settings_with(0.15).model_copy(update={"admission": WEIGHED})
    project = make_project(session)
    round_ = make_round(session, project, settings=settings)
    make_checks(session, project, 3)
    add_items(session, round_, 12, slots=1)
    person = make_user(session)
    judged = judge_some(session, round_, person, 13, first_of)
    n_checks = sum(is_check(session, judgement) for judgement in judged)
    assert n_checks > 0
    (right,) = list_checked(session, project.id).values()
    assert right.fitting_asked == right.others_asked == 2 * n_checks
    assert right.fitting_right == n_checks - (right.others_asked - right.others_right)

    tried = measure_admission(session, round_, read_judgements(session, round_.id)).weighing
    close_now(session, round_)
    decided = session.get_one(AdmissionDecision, round_.id).weighing
    assert tried is not None
    assert decided is not None
    assert tried.n_checked == decided["n_checked"] == 1


def test_what_nobody_calls_fitting_is_not_admitted(session: Session, round_: Round) -> None:
    add_items(session, round_, 3, slots=1)
    person = make_user(session)
    judge_all(session, round_, person, "nothing of it")
    admit(session, round_, WEIGHED, checked={person.id: RightOfAsked(0, 500, 0, 500)})
    assert texts_of(session) == []


def test_a_release_says_how_probable_it_was(
    session: Session, round_: Round, people: list[User]
) -> None:
    close_now(session, round_)
    project = session.get_one(Project, round_.project_id)
    rows = [row.payload for row in build_rows(session, project, [round_.id], Figures())]
    rationales = [row for row in rows if row["kind"] == "rationale"]
    assert len(rationales) == 13
    for row in rationales:
        (admission,) = row["admissions"]
        assert admission["policy"] == "dawid_skene_0.9"
        assert admission["probability"] >= 0.9


def test_a_critic_is_not_weighed() -> None:
    with pytest.raises(ValueError, match="a critic judges alone"):
        LoopSettings.model_validate(
            {"judging": {"judges": "exact"}, "admission": {"policy": "dawid_skene"}}
        )
