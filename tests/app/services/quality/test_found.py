"""What each strategy of a mixed round found, and what an admitted rationale cost."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.evidence import StrategyFind, StrategyFinds
from app.lifecycle import EvidenceKind, RoundStatus
from app.models import Candidate, Project, Round, RoundEvidence, User
from app.round_settings import LoopSettings
from app.services.admission.apply import admit
from app.services.quality.found import measure_found
from app.services.rounds.rounds import settings_of
from tests.support.factories import make_project, make_round, make_user
from tests.support.judging import gather_now, open_item, submit
from tests.support.rounds.mixed import DIRECT, MONOLOGUE, make_drawn_item, make_mixed_round

ONLY_DIRECT, BOTH = DIRECT
ONLY_MONOLOGUE = next(iter(MONOLOGUE))
MINUTE = 60_000


@pytest.fixture
def round_(session: Session) -> Round:
    round_ = make_mixed_round(session)
    for _ in range(3):
        make_drawn_item(session, round_)
    return round_


@pytest.fixture
def noor(session: Session) -> User:
    return make_user(session, name="Noor")


def judge(session: Session, round_: Round, user: User, *picks: set[str]) -> None:
    """Judge an item after the other, each in nine seconds, three for each of its texts."""
    for wanted in picks:
        judgement = open_item(session, round_, user)
        candidates = session.scalars(
            select(Candidate).where(Candidate.id.in_(judgement.shown_order))
        )
        picked = [candidate.id for candidate in candidates if candidate.text in wanted]
        submit(session, judgement, picked=picked, none_fits=not picked)
        judgement.active_ms = 9000
    session.flush()
    admit(session, round_, settings_of(round_).admission)
    session.flush()


def by_name(found: StrategyFinds) -> dict[str, StrategyFind]:
    return {find.strategy: find for find in found.strategies}


def test_a_text_of_both_counts_for_each_and_one_alone_found_the_only_fit(
    session: Session, round_: Round, noor: User
) -> None:
    judge(session, round_, noor, {ONLY_DIRECT}, {BOTH, ONLY_MONOLOGUE}, set())
    found = measure_found(session, round_)
    direct, monologue = by_name(found)["direct"], by_name(found)["monologue"]
    assert (found.n_items, found.n_shared) == (2, 1)
    assert (direct.n_draws, direct.n_texts, direct.n_shown) == (9, 6, 6)
    assert (monologue.n_draws, monologue.n_texts, monologue.n_shown) == (9, 6, 6)
    assert (direct.n_admitted, direct.n_admitted_alone, direct.n_only) == (2, 1, 1)
    assert (monologue.n_admitted, monologue.n_admitted_alone, monologue.n_only) == (2, 1, 0)
    # Of the two texts that each drew for an item: one, one or two, none.
    assert direct.fit_rate.value == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
    assert monologue.fit_rate.value == pytest.approx((0 + 1 + 0) / 3)
    assert direct.fit_rate.low is not None
    assert direct.fit_rate.high is not None
    assert direct.fit_rate.low <= direct.fit_rate.value <= direct.fit_rate.high


def test_cost_is_that_of_all_draws_for_what_is_admitted_of_them(
    session: Session, round_: Round, noor: User
) -> None:
    judge(session, round_, noor, {ONLY_DIRECT}, {BOTH, ONLY_MONOLOGUE}, set())
    direct = by_name(measure_found(session, round_))["direct"]
    # One text alone, and half of the one that both drew once each.
    assert direct.tokens.value == pytest.approx(9 * 12 / 1.5)
    assert direct.seconds.value == pytest.approx(3 * 1.0 / 1.5)
    # Three seconds for its own text and half of those of the shared one, on each of three items.
    assert direct.minutes.value == pytest.approx(3 * (3000 + 1500) / 1.5 / MINUTE)
    for figure in (direct.tokens, direct.minutes, direct.seconds):
        assert figure.low is not None
        assert figure.high is not None
        assert figure.value is not None
        assert figure.low < figure.value < figure.high


def test_length_is_told_since_it_can_betray_whose_a_text_is(
    session: Session, round_: Round, noor: User
) -> None:
    judge(session, round_, noor, set(), set(), set())
    found = by_name(measure_found(session, round_))
    words = [len(text.split()) for text in DIRECT]
    assert found["direct"].words.value == pytest.approx(sum(words) / len(words))


def test_without_anything_admitted_nothing_has_a_price(
    session: Session, round_: Round, noor: User
) -> None:
    judge(session, round_, noor, set(), set(), set())
    direct = by_name(measure_found(session, round_))["direct"]
    assert (direct.tokens.value, direct.minutes.value, direct.seconds.value) == (None, None, None)
    assert direct.fit_rate.value == 0


def test_a_round_of_one_strategy_tells_what_it_cost_with_intervals(
    session: Session, noor: User
) -> None:
    """Nothing is found by one strategy alone where there is no other, but it costs as well."""
    round_ = make_round(session, make_project(session), settings=LoopSettings(auto_advance=False))
    for _ in range(3):
        make_drawn_item(session, round_, monologue={})
    judge(session, round_, noor, {ONLY_DIRECT}, {BOTH, ONLY_DIRECT}, set())
    found = measure_found(session, round_)
    [direct] = found.strategies
    assert (found.n_items, found.n_shared) == (2, 0)
    assert (direct.strategy, direct.n_draws, direct.n_admitted) == ("direct", 9, 3)
    assert direct.tokens.value == pytest.approx(9 * 12 / 3)
    assert direct.seconds.value == pytest.approx(3 * 1.0 / 3)
    assert direct.minutes.value == pytest.approx(3 * 9000 / 3 / MINUTE)
    for figure in (direct.tokens, direct.minutes, direct.seconds):
        assert figure.value is not None
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low < figure.value < figure.high


def test_a_round_without_draws_has_no_price(session: Session) -> None:
    [direct] = measure_found(session, make_round(session, make_project(session))).strategies
    assert direct == StrategyFind(strategy="direct")


def test_it_is_stored_with_the_other_evidence(session: Session, round_: Round, noor: User) -> None:
    judge(session, round_, noor, {ONLY_DIRECT}, {ONLY_DIRECT}, set())
    round_.status = RoundStatus.TRAINING
    session.flush()
    gather_now(session, round_)
    stored = session.get_one(RoundEvidence, (round_.id, EvidenceKind.FOUND))
    assert by_name(StrategyFinds.read(stored.figures))["direct"].n_only == 2
    assert session.get_one(Project, round_.project_id)
