"""Adjudication: what counts as disputed, who decides it, and what a decision does to admission."""

from collections.abc import Sequence

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput, NotFound, StaleVersion
from app.lifecycle import Role, RoundStatus
from app.models import (
    Adjudication,
    Admission,
    AdmissionDecision,
    Event,
    Item,
    Judgement,
    Project,
    Round,
    RoundItem,
    User,
)
from app.queries.admission import adjudications as queries
from app.queries.admission.tallies import list_differing
from app.round_settings import AdmissionSettings, JudgingSettings, LoopSettings
from app.services.admission.adjudication import adjudicate, find_dispute, find_next, take_back
from app.services.admission.apply import admit
from app.services.admission.preview import count_votes, list_policies, rule_of
from app.services.admission.trials import try_policies
from app.services.dataset.items import exclude_item
from app.services.judging import judgements, leases, opening
from app.services.judging.ending import end_if_all_judged, end_judging
from app.services.quality.withdrawing import give_answers_back, withdraw_answers
from app.services.refusals import JudgedByOneself, LeaseLost, NotDisputed, RoundNotJudging
from app.services.releases.figures import Figures
from app.services.releases.rows import build_rows
from tests.support.factories import make_membership, make_project, make_round, make_user
from tests.support.judging import locked, make_judged_items, make_people
from tests.support.quality.disputes import decide_item
from tests.support.rounds_in_process import close_now

POLICIES = [
    AdmissionSettings(policy="any"),
    AdmissionSettings(policy="majority"),
    AdmissionSettings(policy="unanimous"),
    AdmissionSettings(policy="at_least", threshold=3),
    AdmissionSettings(policy="dawid_skene", probability=0.8),
    AdmissionSettings(policy="adjudicated"),
]


def settings(policy: str = "adjudicated", *, auto_advance: bool = False) -> LoopSettings:
    return LoopSettings(
        judging=JudgingSettings(overlap=3),
        admission=AdmissionSettings(policy=policy),
        auto_advance=auto_advance,
    )


@pytest.fixture
def round_(session: Session) -> Round:
    return make_round(session, make_project(session), settings=settings())


@pytest.fixture
def people(session: Session) -> list[User]:
    return make_people(session, 3)


@pytest.fixture
def places(session: Session, round_: Round, people: list[User]) -> list[RoundItem]:
    """Two items of four texts: all pick the first; two pick the second, one the third, nobody the
    last."""

    def choose(user: User, shown: Sequence[int]) -> list[int]:
        first, second, third, _ = sorted(shown)
        return [first, third] if user is people[2] else [first, second]

    found = make_judged_items(session, round_, people, n_items=2, choose=choose)
    session.flush()  # the last one is done
    for place in found:
        session.refresh(place)
    return found


@pytest.fixture
def admin(session: Session, round_: Round) -> User:
    return make_admin(session, round_)


def make_admin(session: Session, round_: Round) -> User:
    user = make_user(session)
    project = session.get_one(Project, round_.project_id)
    make_membership(session, project, user, Role.ADMIN)
    return user


def candidates_of(place: RoundItem) -> list[int]:
    """The four candidates of an item: agreed, disputed twice, agreed not to fit."""
    first, second = place.disputed
    return [first - 1, first, second, second + 1]


def decide(session: Session, round_: Round, place: RoundItem, user: User, *fits: bool) -> None:
    decide_item(session, round_, place.item_id, user, *fits)


def admitted(session: Session, round_: Round) -> dict[int, bool]:
    """What is admitted, and whether an adjudicator decided it."""
    rows = session.execute(
        select(Admission.candidate_id, Admission.is_adjudicated).where(
            Admission.round_id == round_.id
        )
    )
    return dict(rows.all())


# --- What is disputed -----------------------------------------------------------------------


def test_a_candidate_is_disputed_while_some_pick_it_and_others_do_not(
    session: Session, round_: Round, places: list[RoundItem], people: list[User]
) -> None:
    place = places[0]
    _, second, third, _ = candidates_of(place)
    assert place.disputed == [second, third]
    admin = make_admin(session, round_)
    withdraw_answers(session, round_, people[2], actor=admin)
    session.refresh(place)
    assert place.disputed == [], "the two who are left say the same"
    give_answers_back(session, round_, people[2], actor=admin)
    session.refresh(place)
    assert place.disputed == [second, third]


def test_an_answer_that_is_taken_back_is_no_side_of_a_dispute(
    session: Session, round_: Round, places: list[RoundItem], people: list[User]
) -> None:
    place = places[0]
    (own,) = [one for one in _judgements(session, place) if one.user_id == people[2].id]
    judgements.take_back(session, locked(session, own))
    session.refresh(place)
    assert place.disputed == []
    assert queries.count_disputes(session, round_.id, None).n_items == 1


def _judgements(session: Session, place: RoundItem) -> Sequence[Judgement]:
    return session.scalars(select(Judgement).where(Judgement.round_item_id == place.id)).all()


# --- Who decides ----------------------------------------------------------------------------


def test_what_is_decided_is_kept_apart_told_and_taken_back(
    session: Session, round_: Round, places: list[RoundItem], admin: User
) -> None:
    place = places[0]
    dispute = find_dispute(session, round_, place.item_id, admin)
    assert [len(one.picked) for one in dispute.said] == [2, 2, 2]
    decide(session, round_, place, admin, False, True)
    _, second, third, _ = candidates_of(place)
    stored = queries.list_decisions(session, round_.id, place.item_id)
    assert {one: (row.fits, row.decided_by_id) for one, row in stored.items()} == {
        second: (False, admin.id), third: (True, admin.id)
    }  # fmt: skip
    counts = queries.count_disputes(session, round_.id, admin.id)
    assert (counts.n_items, counts.n_decided) == (2, 1)
    assert find_next(session, round_, admin) == places[1].item_id
    decide(session, round_, place, admin, True, True)
    assert len(session.scalars(select(Adjudication)).all()) == 2, "in place of the older"
    assert take_back(session, round_, place.item_id, actor=admin)
    assert not take_back(session, round_, place.item_id, actor=admin)
    session.flush()
    tags = session.scalars(select(Event.tag).where(Event.tag.like("item:adjud%"))).all()
    assert tags == ["item:adjudicated", "item:adjudicated", "item:adjudication:undone"]
    assert queries.count_disputes(session, round_.id, admin.id).n_decided == 0


def test_who_judged_an_item_does_not_decide_it(
    session: Session, round_: Round, places: list[RoundItem], people: list[User], admin: User
) -> None:
    project = session.get_one(Project, round_.project_id)
    make_membership(session, project, people[0], Role.ADMIN)
    assert find_next(session, round_, people[0]) is None
    assert queries.count_disputes(session, round_.id, people[0].id).n_own == 2
    with pytest.raises(JudgedByOneself, match="took a side"):
        find_dispute(session, round_, places[0].item_id, people[0])
    withdraw_answers(session, round_, people[2], actor=admin)
    with pytest.raises(JudgedByOneself):  # nor does it where the answer counts no more
        find_dispute(session, round_, places[0].item_id, people[2])


def test_who_decided_an_item_is_not_asked_to_judge_it(
    session: Session, round_: Round, places: list[RoundItem], people: list[User], admin: User
) -> None:
    decide(session, round_, places[0], admin, True, False)
    withdraw_answers(session, round_, people[2], actor=admin)  # both are open again
    handed = opening.open_next_item(session, round_, admin)
    assert handed is not None
    assert handed.round_item_id == places[1].id
    judgements.skip(session, locked(session, handed), reason="unsure")
    assert opening.open_next_item(session, round_, admin) is None
    give_answers_back(session, round_, people[2], actor=admin)
    session.refresh(places[1])
    decide(session, round_, places[1], admin, True, False)
    withdraw_answers(session, round_, people[2], actor=admin)
    with pytest.raises(LeaseLost, match="you decided it as an adjudicator"):
        leases.resume(session, locked(session, handed))
    assert opening.open_next_item(session, round_, make_user(session)) is not None


def test_the_order_of_people_differs_from_item_to_item(
    session: Session, round_: Round, people: list[User], admin: User
) -> None:
    def choose(user: User, shown: Sequence[int]) -> list[int]:
        return sorted(shown)[people.index(user) :][:1]

    found = make_judged_items(session, round_, people, n_items=12, choose=choose)
    orders = set()
    for place in found:
        said = find_dispute(session, round_, place.item_id, admin).said
        again = find_dispute(session, round_, place.item_id, make_admin(session, round_)).said
        assert said == again, "the same for everybody"
        orders.add(tuple(one.user_id for one in said))
    assert len(orders) > 2


def test_a_decision_on_what_has_changed_meanwhile_is_refused(
    session: Session, round_: Round, places: list[RoundItem], people: list[User], admin: User
) -> None:
    place, other = places[0], make_admin(session, round_)
    seen = find_dispute(session, round_, place.item_id, admin)
    fits = dict.fromkeys(seen.open_to_decision, True)
    decide(session, round_, place, other, False, False)

    def try_it(version: str) -> None:
        adjudicate(session, round_, place.item_id, fits, version=version, actor=admin)

    with pytest.raises(StaleVersion, match="while you looked"):
        try_it(seen.version)
    now = find_dispute(session, round_, place.item_id, admin).version
    with pytest.raises(InvalidInput, match="every rationale"):
        adjudicate(session, round_, place.item_id, {}, version=now, actor=admin)
    withdraw_answers(session, round_, people[2], actor=other)
    with pytest.raises(NotDisputed, match="not judged by everybody"):
        try_it(now)
    give_answers_back(session, round_, people[2], actor=other)
    session.expire_all()
    try_it(now)
    assert set(queries.list_adjudicated(session, round_.id).values()) == {True}


def test_nothing_is_decided_of_items_that_are_out_or_agreed_or_of_a_closed_round(
    session: Session, round_: Round, places: list[RoundItem], people: list[User], admin: User
) -> None:
    (agreed,) = make_judged_items(session, round_, people, n_items=1)
    with pytest.raises(NotDisputed, match="agree"):
        find_dispute(session, round_, agreed.item_id, admin)
    with pytest.raises(NotFound):
        find_dispute(session, round_, 10**9, admin)
    seen = find_dispute(session, round_, places[0].item_id, admin)
    exclude_item(session, session.get_one(Item, places[0].item_id), reason="dark", actor=None)
    fits = dict.fromkeys(seen.open_to_decision, True)

    def decide_it() -> None:
        adjudicate(
            session, round_, places[0].item_id, fits, version=seen.version, actor=admin
        )  # fmt: skip

    with pytest.raises(NotDisputed, match="excluded"):
        decide_it()
    assert queries.count_disputes(session, round_.id, None).n_items == 1
    end_judging(session, round_, actor=None)
    for change in (decide_it, lambda: take_back(session, round_, places[1].item_id, actor=admin)):
        with pytest.raises(RoundNotJudging, match="before anything is admitted"):
            change()


# --- What it does to admission --------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.policy)
def test_a_decision_outranks_the_votes_under_every_policy(
    session: Session,
    round_: Round,
    places: list[RoundItem],
    admin: User,
    policy: AdmissionSettings,
) -> None:
    decide(session, round_, places[0], admin, False, True)
    first, second, third, last = candidates_of(places[0])
    found = admit(session, round_, policy)
    now = admitted(session, round_)
    assert now[first] is False, "everybody says so"
    assert now[third] is True, "against two of three"
    assert second not in now
    assert last not in now
    _, undecided, *_ = candidates_of(places[1])
    is_by_votes = policy.policy in ("any", "majority", "dawid_skene")
    assert (undecided in now) is is_by_votes
    assert found.n_rationales == len(now)
    if not policy.weighs_people:
        assert count_votes(session, round_).preview(policy) == found
    trials = try_policies(session, round_)
    trial = trials.find_trial(policy.name)
    assert trial is None or trial.n_rationales == found.n_rationales
    assert (trials.n_disputed, trials.n_adjudicated) == (4, 2)


def test_the_votes_stay_as_they_were(
    session: Session, round_: Round, places: list[RoundItem], admin: User
) -> None:
    decide(session, round_, places[0], admin, False, True)
    admit(session, round_, AdmissionSettings(policy="majority"))
    _, _, third, _ = candidates_of(places[0])
    row = session.get_one(Admission, (round_.id, third))
    assert (row.n_fits, row.n_votes, row.policy) == (1, 3, "majority")


def test_policies_do_not_differ_on_what_is_decided(
    session: Session, round_: Round, places: list[RoundItem], admin: User
) -> None:
    decide(session, round_, places[0], admin, False, True)
    trials = try_policies(session, round_)
    overruled = {trial.policy: trial.n_overruled for trial in trials.policies}
    assert overruled == {
        "any": 1, "majority": 2, "unanimous": 1, "adjudicated": 1, "dawid_skene_0.9": 2
    }  # fmt: skip
    difference = trials.find_difference("any", "unanimous")
    assert difference is not None
    assert (difference.n_only_policy, difference.n_items) == (2, 1)
    one, other = (rule_of(AdmissionSettings(policy=name)) for name in ("any", "unanimous"))
    ((item, candidates),) = list_differing(session, round_.id, one, other, after=0)
    assert item.id == places[1].item_id
    assert len(candidates) == 2


def test_only_its_own_round_tries_the_policy_that_waits(session: Session) -> None:
    names = [policy.policy for policy in list_policies(settings("majority"))]
    assert "adjudicated" not in names
    assert "adjudicated" in [policy.policy for policy in list_policies(settings())]


def test_a_decision_outranks_votes_that_came_later(
    session: Session, round_: Round, places: list[RoundItem], people: list[User], admin: User
) -> None:
    place = places[0]
    decide(session, round_, place, admin, True, True)
    withdraw_answers(session, round_, people[2], actor=admin)
    admit(session, round_, AdmissionSettings(policy="majority"))
    _, _, third, _ = candidates_of_decided(session, round_, place)
    row = session.get_one(Admission, (round_.id, third))
    assert (row.n_fits, row.n_votes, row.is_adjudicated) == (0, 2, True)


def candidates_of_decided(session: Session, round_: Round, place: RoundItem) -> list[int]:
    second, third = sorted(queries.list_decisions(session, round_.id, place.item_id))
    return [second - 1, second, third, third + 1]


# --- A round that waits ---------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["adjudicated", "majority"])
def test_a_round_whose_policy_is_adjudicated_waits_for_the_last_decision(
    session: Session, people: list[User], policy: str
) -> None:
    round_ = make_round(
        session, make_project(session), settings=settings(policy, auto_advance=True)
    )
    admin = make_admin(session, round_)
    found = make_judged_items(
        session, round_, people, n_items=2,
        choose=lambda user, shown: sorted(shown)[people.index(user) :][:1],
    )  # fmt: skip
    if policy == "majority":
        assert end_if_all_judged(session, round_.id)
        return
    assert not end_if_all_judged(session, round_.id)
    for place in found:
        assert not end_if_all_judged(session, round_.id)
        decide(session, round_, place, admin, True, False, False)
    assert end_if_all_judged(session, round_.id)
    session.refresh(round_)
    assert round_.status is RoundStatus.CLOSING


# --- Releases -------------------------------------------------------------------------------


def test_a_release_tells_what_was_decided_beside_the_votes(
    session: Session, round_: Round, places: list[RoundItem], admin: User
) -> None:
    decide(session, round_, places[0], admin, False, True)
    close_now(session, round_)
    decision = session.get_one(AdmissionDecision, round_.id)
    assert (decision.n_disputed, decision.n_adjudicated) == (4, 2)
    project = session.get_one(Project, round_.project_id)
    figures = Figures()
    rows = [row.payload for row in build_rows(session, project, [round_.id], figures)]
    told = {
        (row["kind"], row["people_fits"], row["adjudications"][0]["fits"])
        for row in rows
        if "adjudications" in row
    }
    assert told == {("candidate", 2, False), ("rationale", 1, True)}
    (admission,) = (
        one for row in rows for one in row.get("admissions", ()) if "adjudicated" in one
    )
    assert (admission["n_fits"], admission["n_votes"]) == (1, 3)
    assert figures.as_dict()["adjudicated"] == {"candidates": 2, "fit": 1}
