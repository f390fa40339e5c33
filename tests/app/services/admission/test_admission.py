"""Which votes admit a rationale."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.lifecycle import RoundItemState, UserKind
from app.models import Admission, Judgement, Project, Round, RoundCandidate, RoundItem, User
from app.round_settings import AdmissionSettings, LoopSettings
from app.services.admission.apply import admit
from app.services.admission.preview import count_votes, is_admitted
from app.services.judging import opening
from app.services.rounds.critic_judging import judge_round
from tests.support.factories import make_item, make_project, make_round, make_round_item, make_user
from tests.support.judging import open_item, submit


@pytest.mark.parametrize(
    ("policy", "threshold", "n_fits", "n_votes", "expected"),
    [
        ("any", 1, 1, 5, True),
        ("any", 1, 0, 5, False),
        ("majority", 1, 2, 3, True),
        ("majority", 1, 1, 2, False),  # a tie is no majority
        ("unanimous", 1, 3, 3, True),
        ("unanimous", 1, 2, 3, False),
        ("at_least", 2, 2, 5, True),
        ("at_least", 2, 1, 5, False),
    ],
)
def test_policies(
    policy: str, threshold: int, n_fits: int, n_votes: int, *, expected: bool
) -> None:
    settings = AdmissionSettings.model_validate({"policy": policy, "threshold": threshold})
    assert is_admitted(n_fits, n_votes, settings) is expected


def test_a_policy_that_too_few_people_could_meet_is_refused() -> None:
    with pytest.raises(ValueError, match="wants 3 votes, but only 2 people"):
        LoopSettings.model_validate(
            {
                "judging": {"overlap": 2},
                "admission": {"policy": "at_least", "threshold": 3},
            }
        )


@pytest.fixture
def round_(session: Session) -> Round:
    project = make_project(session)
    round_ = make_round(session, project)
    item = make_item(session, project)
    make_round_item(session, round_, item, texts=["it is red", "it is blue"], slots=3)
    return round_


def judge(session: Session, round_: Round, user: User, *ranks: int) -> Judgement:
    """Lease the next item and pick the candidates of these ranks; none means that none fits."""
    judgement = opening.open_next_item(session, round_, user)
    assert judgement is not None
    candidates = session.scalars(
        select(RoundCandidate.candidate_id)
        .where(RoundCandidate.round_id == round_.id, RoundCandidate.rank.in_(ranks))
        .order_by(RoundCandidate.rank)
    ).all()
    return submit(session, judgement, picked=list(candidates), none_fits=not ranks)


def test_a_preview_counts_what_admitting_then_stores(session: Session, round_: Round) -> None:
    for ranks in ((1,), (1, 2), ()):
        judge(session, round_, make_user(session), *ranks)
    policy = AdmissionSettings(policy="majority")
    preview = count_votes(session, round_).preview(policy)
    assert (preview.n_rationales, preview.n_items, preview.n_judged_items) == (1, 1, 1)
    assert session.scalars(select(Admission)).all() == []

    admit(session, round_, policy)
    admission = session.scalars(select(Admission)).one()
    assert (admission.n_fits, admission.n_votes) == (2, 3)
    admit(session, round_, policy)
    assert len(session.scalars(select(Admission)).all()) == 1


@pytest.mark.parametrize("policy", ["any", "majority", "unanimous"])
def test_items_judged_once_and_by_several_are_counted_as_they_are_admitted(
    session: Session, round_: Round, policy: str
) -> None:
    project = session.get_one(Project, round_.project_id)
    for _ in range(7):
        make_round_item(session, round_, make_item(session, project), slots=3)
    says: list[Callable[[list[int]], dict[str, Any]]] = [
        lambda shown: {"picked": shown[:1]},
        lambda shown: {"picked": shown},
        lambda _: {"none_fits": True},
        lambda _: {"answer_is_wrong": True},
    ]
    for n_judged in (8, 5):
        person = make_user(session)
        for number in range(n_judged):
            judgement = open_item(session, round_, person)
            submit(session, judgement, **says[(number + n_judged) % 4](judgement.shown_order))
    chosen = AdmissionSettings.model_validate({"policy": policy})
    preview = count_votes(session, round_).preview(chosen)
    assert admit(session, round_, chosen) == preview
    assert preview.n_judged_items > 5
    assert len(session.scalars(select(Admission)).all()) == preview.n_rationales > 3


def test_an_item_that_was_set_aside_admits_nothing(session: Session, round_: Round) -> None:
    judge(session, round_, make_user(session), 1)
    session.scalars(select(RoundItem)).one().state = RoundItemState.SET_ASIDE
    session.flush()
    assert count_votes(session, round_).preview(AdmissionSettings(policy="any")).n_rationales == 0


def test_a_critics_verdicts_do_not_count_among_peoples(session: Session, round_: Round) -> None:
    judge(session, round_, make_user(session), 1)
    critic_settings = LoopSettings.model_validate({"judging": {"judges": "rouge:0.01"}})
    people_settings = round_.settings
    round_.settings = critic_settings.model_dump(mode="json")
    judge_round(session, round_)
    round_.settings = people_settings
    session.flush()

    admit(session, round_, AdmissionSettings(policy="any"))
    admission = session.scalars(select(Admission)).one()
    assert admission.judge_kind is UserKind.PERSON
    assert (admission.n_fits, admission.n_votes) == (1, 1)
    item = session.scalars(select(RoundItem)).one()
    assert item.n_submitted == 1, "a critic takes no place of people"
