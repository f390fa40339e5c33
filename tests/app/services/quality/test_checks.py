"""Check items: made, mixed in unseen, to everybody once, retired; and what they say of people."""

from collections import Counter
from itertools import pairwise

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput
from app.lifecycle import Purpose, RoundItemState, RoundStatus, Split
from app.models import CheckItem, Item, PracticeItem, Project, Round, RoundItem, User
from app.queries.dataset.items import take_out_of_open_round
from app.queries.rounds.rounds import has_unjudged_items
from app.services.judging.checks import count_due, find_upcoming_check
from app.services.judging.ending import end_if_all_judged
from app.services.quality.checks import (
    ExpectedVerdict,
    list_checked_people,
    make_agreed_checks,
    make_check,
    retire_check,
    suggest_verdicts,
)
from app.services.releases.releases import create_release
from app.services.rounds.starting import start_round
from tests.support.factories import make_item, make_project, make_round, make_round_item, make_user
from tests.support.judging import open_item, submit
from tests.support.quality.checks import (
    expected_of,
    is_check,
    judge_some,
    make_checks,
    settings_with,
)

SHARE = 0.15


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


def judged_round(
    session: Session, project: Project, n_items: int, *, share: float = SHARE, overlap: int = 3
) -> Round:
    """A round that is being judged, with items to train on; check items made now come into it."""
    settings = settings_with(share, overlap=overlap)
    round_ = make_round(session, project, settings=settings)
    for _ in range(n_items):
        make_round_item(session, round_, make_item(session, project), slots=overlap)
    return round_


# --- When one is due ----------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.05, 0.1, 0.15])
def test_the_share_is_kept_from_the_start_and_nobody_can_count_on_the_next(share: float) -> None:
    gaps: set[int] = set()
    for user_id in range(40):
        round_ = Round(order_key="a key", settings={})
        due = [count_due(round_, user_id, n, share) for n in range(400)]
        assert all(after - before >= 0 for before, after in pairwise(due))
        for n, so_far in enumerate(due):
            assert abs(so_far - share * (n + 1)) <= 1 + share
        places = [n for n in range(1, 400) if due[n] > due[n - 1]]
        gaps |= {after - before for before, after in pairwise(places)}
    assert max(gaps) >= 1.5 / share
    assert min(gaps) <= 0.5 / share


def test_what_is_due_is_the_same_however_often_it_is_asked_and_another_for_another_key() -> None:
    def places(key: str, user_id: int) -> list[int]:
        return [count_due(Round(order_key=key, settings={}), user_id, n, 0.1) for n in range(100)]

    assert places("a", 1) == places("a", 1)
    assert places("a", 1) != places("b", 1)
    assert places("a", 1) != places("a", 2)


# --- Mixed in -----------------------------------------------------------------------------------


def test_everybody_gets_each_once_at_the_share(session: Session, project: Project) -> None:
    round_ = judged_round(session, project, 60)
    make_checks(session, project, 4)
    for _ in range(3):
        done = judge_some(session, round_, make_user(session), 40)
        checks = [judgement.round_item_id for judgement in done if is_check(session, judgement)]
        assert len(checks) == len(set(checks)) == 4
        # All four lie within the first 1 / share items of each.
        places = [n for n, judgement in enumerate(done) if is_check(session, judgement)]
        assert all(place < (number + 2) / SHARE for number, place in enumerate(places))


def test_a_check_item_looks_like_any_other(session: Session, project: Project) -> None:
    round_ = judged_round(session, project, 10)
    make_checks(session, project, 3)
    done = judge_some(session, round_, make_user(session), 10)
    check = next(one for one in done if is_check(session, one))
    other = next(one for one in done if not is_check(session, one))
    assert check.status == other.status
    assert {type(check.slot), type(check.version)} == {type(other.slot), type(other.version)}
    assert len(check.shown_order) == 4


def test_who_has_begun_another_item_goes_on_with_it(session: Session, project: Project) -> None:
    round_ = judged_round(session, project, 30)
    make_checks(session, project, 5)
    user = make_user(session)
    for _ in range(25):
        judgement = open_item(session, round_, user)
        assert open_item(session, round_, user).id == judgement.id
        submit(session, judgement, picked=judgement.shown_order[:1])


def test_nobody_gets_one_of_an_item_that_they_judged_before(
    session: Session, project: Project
) -> None:
    user, other = make_user(session), make_user(session)
    first = judged_round(session, project, 1, share=0)
    (judged,) = judge_some(session, first, user, 1)
    first.status = RoundStatus.CANCELLED
    item = session.get_one(RoundItem, judged.round_item_id).item_id
    verdicts = [ExpectedVerdict("yes it does", fits=True), ExpectedVerdict("not so", fits=False)]
    make_check(session, project, session.get_one(Item, item), verdicts, max_uses=9, actor=None)
    second = make_round(session, project, number=2, settings=settings_with(SHARE, overlap=2))
    for _ in range(20):
        make_round_item(session, second, make_item(session, project), slots=2)
    make_checks(session, project, 1)
    assert (
        Counter(is_check(session, one) for one in judge_some(session, second, user, 20))[True] == 1
    )
    assert (
        Counter(is_check(session, one) for one in judge_some(session, second, other, 20))[True] == 2
    )


def test_it_retires_after_its_uses_and_the_round_ends_without_it(
    session: Session, project: Project
) -> None:
    round_ = judged_round(session, project, 8, overlap=3)
    make_checks(session, project, 1, max_uses=2)
    place = session.scalars(select(RoundItem).where(RoundItem.purpose == Purpose.CHECK)).one()
    for _ in range(3):
        judge_some(session, round_, make_user(session), 20)
    session.refresh(place)
    assert (place.n_submitted, place.state) == (2, RoundItemState.STANDING)
    assert not has_unjudged_items(session, round_.id)
    assert not end_if_all_judged(session, round_.id)  # this round does not go on by itself
    # Used up, it is in no round that starts later.
    round_.status = RoundStatus.CANCELLED
    later = make_round(
        session, project, number=2, status=RoundStatus.DRAFT, settings=settings_with(SHARE)
    )
    start_round(session, later, actor=None)
    assert not session.scalars(
        select(RoundItem).where(RoundItem.round_id == later.id, RoundItem.purpose == Purpose.CHECK)
    ).all()


def test_a_retired_one_is_handed_out_no_more_but_can_be_submitted(
    session: Session, project: Project
) -> None:
    round_ = judged_round(session, project, 20)
    (check_item,) = make_checks(session, project, 1)
    user, other = make_user(session), make_user(session)
    held = open_item(session, round_, user)
    while not is_check(session, held):
        submit(session, held, picked=held.shown_order[:1])
        held = open_item(session, round_, user)
    retire_check(session, check_item, actor=user)
    assert not any(is_check(session, one) for one in judge_some(session, round_, other, 20))
    submit(session, held, picked=held.shown_order[:1])
    session.refresh(check_item)
    assert check_item.retired_at is not None
    assert list_checked_people(session, project)[0].counts.n_items == 1


def test_an_item_that_serves_is_not_sampled_and_comes_back_when_it_is_retired(
    session: Session, project: Project
) -> None:
    item = make_item(session, project)
    make_item(session, project)
    verdicts = [ExpectedVerdict("yes it does", fits=True), ExpectedVerdict("not so", fits=False)]
    check_item = make_check(session, project, item, verdicts, max_uses=9, actor=None)

    def purposes(number: int) -> dict[int, Purpose]:
        round_ = make_round(
            session,
            project,
            number=number,
            status=RoundStatus.DRAFT,
            settings=settings_with(SHARE),
        )
        start_round(session, round_, actor=None)
        rows = session.execute(
            select(RoundItem.item_id, RoundItem.purpose).where(RoundItem.round_id == round_.id)
        )
        round_.status = RoundStatus.CANCELLED
        return dict(rows.all())

    assert purposes(1)[item.id] is Purpose.CHECK
    retire_check(session, check_item, actor=make_user(session))
    assert purposes(2)[item.id] is Purpose.TRAINING


def test_the_image_that_is_fetched_ahead_is_that_of_the_item_that_comes(
    session: Session, project: Project
) -> None:
    """Otherwise a page that has to load its image first would tell what it is."""
    round_ = judged_round(session, project, 40)
    make_checks(session, project, 5)
    user = make_user(session)
    n_checks = 0
    ahead = None
    for _ in range(30):
        judgement = open_item(session, round_, user)
        item = session.get_one(Item, session.get_one(RoundItem, judgement.round_item_id).item_id)
        if is_check(session, judgement):
            n_checks += 1
            assert ahead is not None or n_checks == 1
            if ahead is not None:
                assert ahead[0] == item.image_sha256
        elif judgement.version == 0 and ahead is not None:
            pytest.fail("a check item was announced, and another item came")
        ahead = find_upcoming_check(session, round_, user.id, share=SHARE)
        submit(session, judgement, picked=judgement.shown_order[:1])
    assert n_checks >= 3


def test_an_item_that_is_taken_out_is_handed_out_no_more(
    session: Session, project: Project
) -> None:
    round_ = judged_round(session, project, 20)
    (check_item,) = make_checks(session, project, 1)
    take_out_of_open_round(session, check_item.item_id)
    assert not any(
        is_check(session, one) for one in judge_some(session, round_, make_user(session), 20)
    )


# --- Made ---------------------------------------------------------------------------------------


def test_it_begins_with_what_all_that_judged_the_item_agree_on(
    session: Session, project: Project
) -> None:
    round_ = judged_round(session, project, 1, share=0, overlap=2)
    for _ in range(2):
        judge_some(session, round_, make_user(session), 1, lambda one: sorted(one.shown_order)[:1])
    item = session.scalars(select(Item)).one()
    suggested = {one.text: one.fits for one in suggest_verdicts(session, item)}
    assert suggested == {
        "the ball is red": True,  # the data's own rationale, which is a candidate as well
        "it is red": True,
        "there is a ball": False,
    }


def test_items_on_which_people_agree_become_check_items_at_once(
    session: Session, project: Project
) -> None:
    round_ = make_round(session, project, settings=settings_with(0, overlap=2))
    texts = ("it is red", "it is really red", "it is blue", "it is green")
    for _ in range(3):
        make_round_item(session, round_, make_item(session, project), texts=texts, slots=2)
    people = [make_user(session), make_user(session)]
    for user in people:
        judge_some(session, round_, user, 3, lambda one: sorted(one.shown_order)[:2])
    # On one of them they disagree.
    assert make_agreed_checks(session, project, n=2, max_uses=5, actor=None) == 2
    assert make_agreed_checks(session, project, n=5, max_uses=5, actor=None) == 1
    assert make_agreed_checks(session, project, n=5, max_uses=5, actor=None) == 0
    with pytest.raises(InvalidInput):
        make_agreed_checks(session, project, n=0, max_uses=5, actor=None)


@pytest.mark.parametrize(
    ("verdicts", "says"),
    [
        ([], "At least one has to fit and one not"),
        ([("a", True), ("b", True)], "At least one has to fit and one not"),
        ([("a", True), ("b", None), ("c", False)], "Rationale 2: does it fit or not?"),
        ([("a", True), ("A ", False)], "Two of the rationales are the same."),
        ([(f"text {n}", n % 2 == 0) for n in range(11)], "At most 10 rationales can be shown."),
        ([("a" * 2001, True), ("b", False)], "Rationale 1 is longer than 2000 characters."),
    ],
)
def test_verdicts_that_tell_nothing_are_refused_with_their_line(
    session: Session, project: Project, verdicts: list[tuple[str, bool | None]], says: str
) -> None:
    expected = [ExpectedVerdict(*one) for one in verdicts]
    with pytest.raises(InvalidInput) as refused:
        make_check(session, project, make_item(session, project), expected, max_uses=5, actor=None)
    assert any(str(line).startswith(says) for line in refused.value.errors)
    assert not session.scalars(select(CheckItem)).all()


def test_an_item_that_people_know_or_that_serves_already_is_refused(
    session: Session, project: Project
) -> None:
    verdicts = [ExpectedVerdict("yes it does", fits=True), ExpectedVerdict("not so", fits=False)]

    def make(item: Item) -> None:
        make_check(session, project, item, verdicts, max_uses=5, actor=None)

    item = make_item(session, project, split=Split.TEST)
    make(item)
    with pytest.raises(InvalidInput, match="a check item already"):
        make(item)
    practised = make_item(session, project)
    session.add(
        PracticeItem(
            project_id=project.id, item_id=practised.id, position=1, answer=practised.answer
        )
    )
    session.flush()
    with pytest.raises(InvalidInput, match="practice item"):
        make(practised)


# --- What it says of people ---------------------------------------------------------------------


def test_scores_tell_who_says_what_is_expected(session: Session, project: Project) -> None:
    round_ = judged_round(session, project, 60, overlap=4)
    make_checks(session, project, 6)
    good, first, everything, nothing = (make_user(session) for _ in range(4))

    def as_expected(judgement: object) -> list[int]:
        return sorted(expected_of(session, judgement))  # type: ignore[arg-type]

    judge_some(session, round_, good, 45, as_expected)
    judge_some(session, round_, first, 45)
    judge_some(session, round_, everything, 45, lambda one: one.shown_order)
    judge_some(session, round_, nothing, 45, lambda _: ())
    people = {one.user.id: one for one in list_checked_people(session, project)}
    scores = {user: one.score.value for user, one in people.items() if one.score}
    assert scores[good.id] == 1
    assert scores[everything.id] == scores[nothing.id] == 0
    assert scores[first.id] < 0.5
    assert people[good.id].counts.n_items == 6
    assert [one.user.id for one in list_checked_people(session, project)][-1] == good.id


def test_who_calls_the_answer_wrong_has_picked_nothing(session: Session, project: Project) -> None:
    round_ = judged_round(session, project, 20)
    make_checks(session, project, 1)
    user: User = make_user(session)
    for _ in range(12):
        judgement = open_item(session, round_, user)
        if is_check(session, judgement):
            submit(session, judgement, answer_is_wrong=True)
            break
        submit(session, judgement, picked=judgement.shown_order[:1])
    (person,) = list_checked_people(session, project)
    assert (person.counts.n_hits, person.counts.n_rejected) == (0, 2)
    place = session.scalars(select(RoundItem).where(RoundItem.purpose == Purpose.CHECK)).one()
    assert place.state is RoundItemState.STANDING


def test_a_release_tells_the_spread_of_scores_and_nobodys(
    session: Session, project: Project
) -> None:
    round_ = judged_round(session, project, 60, overlap=4)
    make_checks(session, project, 6)
    for picks in (lambda one: sorted(expected_of(session, one)), lambda one: one.shown_order):
        judge_some(session, round_, make_user(session), 45, picks)
    round_.status = RoundStatus.CANCELLED
    release = create_release(session, project, actor=None)
    (told,) = release.card["evidence"]
    assert told == {
        "round": 1,
        "checks": {"n_people": 2, "lowest": 0.0, "median": 0.5, "highest": 1.0},
    }
