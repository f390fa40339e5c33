"""All policies tried on one round: what each would admit, where two differ, and what is kept."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.lifecycle import EvidenceKind
from app.models import CandidateTally, Round, User
from app.policy_trials import AdmissionTrials
from app.queries.admission.tallies import list_differing
from app.queries.quality.evidence import list_evidence
from app.round_settings import AdmissionSettings, JudgingSettings, LoopSettings
from app.services.admission.apply import admit
from app.services.admission.preview import list_policies, rule_of
from app.services.admission.trials import try_policies
from tests.support.factories import make_project, make_round
from tests.support.judging import gather_now, make_judged_items, make_people

SETTINGS = LoopSettings(
    judging=JudgingSettings(overlap=3),
    admission=AdmissionSettings(policy="at_least", threshold=2, probability=0.8),
    auto_advance=False,
)


@pytest.fixture
def round_(session: Session) -> Round:
    """Six items that three people judged: two pick the first two texts, one picks the last."""
    round_ = make_round(session, make_project(session), settings=SETTINGS)
    people = make_people(session, 3)

    def choose(user: User, shown: list[int]) -> list[int]:
        return sorted(shown)[-1:] if user is people[2] else sorted(shown)[:2]

    make_judged_items(session, round_, people, n_items=6, choose=choose)
    return round_


def test_each_policy_would_admit_what_it_then_admits(session: Session, round_: Round) -> None:
    found = try_policies(session, round_)
    policies = list_policies(SETTINGS)
    assert [trial.policy for trial in found.policies] == [
        "any", "majority", "unanimous", "at_least_2", "dawid_skene_0.8"
    ]  # fmt: skip
    for trial, policy in zip(found.policies, policies, strict=True):
        admitted = admit(session, round_, policy)
        assert (trial.n_rationales, trial.n_items) == (admitted.n_rationales, admitted.n_items)
        assert found.n_judged_items == admitted.n_judged_items == 6
    assert [trial.n_rationales for trial in found.policies] == [18, 12, 0, 12, 12]
    assert (found.n_judged, found.n_submitted) == (24, 18)
    assert found.weighing is not None
    assert len(found.weighing.people) == 3


def test_where_two_policies_differ_is_listed(session: Session, round_: Round) -> None:
    found = try_policies(session, round_)
    difference = found.find_difference("any", "majority")
    assert difference is not None
    assert (difference.n_only_policy, difference.n_only_other, difference.n_items) == (6, 0, 6)
    assert found.find_difference("majority", "any") is None
    assert difference.turned().n_only_other == 6

    one, other = (rule_of(AdmissionSettings(policy=name)) for name in ("any", "majority"))
    first = list_differing(session, round_.id, one, other, after=0, limit=4)
    rest = list_differing(session, round_.id, one, other, after=first[-1][0].id, limit=4)
    assert [len(page) for page in (first, rest)] == [4, 2]
    for _, candidates in [*first, *rest]:
        (tally,) = candidates
        assert (tally.n_fits, tally.n_votes) == (1, 3)
        assert tally.probability is not None
        assert one.admits(tally)
        assert not other.admits(tally)


def test_tried_again_the_votes_take_the_place_of_the_older(session: Session, round_: Round) -> None:
    for n_items in (6, 8):
        gather_now(session, round_)
        stored = list_evidence(session, [round_.id])[round_.id, EvidenceKind.ADMISSION]
        assert AdmissionTrials.read(stored.figures).n_judged_items == n_items
        assert len(session.scalars(select(CandidateTally)).all()) == n_items * 4
        make_judged_items(session, round_, make_people(session, 2), n_items=2)
