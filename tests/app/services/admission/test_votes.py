"""The votes of a round in memory."""

import pytest
from sqlalchemy.orm import Session

from app.lifecycle import Purpose, RoundItemState, UserKind
from app.models import Round, RoundItem
from app.services.admission.votes import VoteMatrix, load_votes
from app.services.judging import opening
from tests.support.factories import make_item, make_project, make_round, make_round_item, make_user
from tests.support.judging import submit

Vote = tuple[int, int, int, bool]


@pytest.fixture
def places(session: Session) -> list[RoundItem]:
    """Four items of a round, two texts each; the third checks people, the last is set aside."""
    project = make_project(session)
    round_ = make_round(session, project)
    purposes = [Purpose.TRAINING, Purpose.TRAINING, Purpose.CHECK, Purpose.TRAINING]
    texts = ["it is red", "it is blue"]
    return [
        make_round_item(
            session, round_, make_item(session, project), texts=texts, slots=2, purpose=purpose
        )
        for purpose in purposes
    ]


def judge_all(session: Session, round_: Round, *, is_picky: bool) -> set[Vote]:
    """A new person picks the first text of every item, or all of them; returns what was said."""
    person = make_user(session)
    said: set[Vote] = set()
    while (judgement := opening.open_next_item(session, round_, person)) is not None:
        shown = judgement.shown_order
        picked = shown[:1] if is_picky else shown
        submit(session, judgement, picked=picked)
        item_id = session.get_one(RoundItem, judgement.round_item_id).item_id
        said |= {(item_id, candidate, person.id, candidate in picked) for candidate in shown}
    return said


def said_in(matrix: VoteMatrix) -> list[Vote]:
    votes = matrix.votes
    return [
        (
            int(matrix.item_ids[candidate]),
            int(matrix.candidate_ids[candidate]),
            int(matrix.user_ids[person]),
            bool(fits),
        )
        for candidate, person, fits in zip(votes.candidate, votes.person, votes.fits, strict=True)
    ]


@pytest.mark.parametrize("items_at_once", [1, 1000])
def test_it_holds_who_said_what_of_the_items_that_count(
    session: Session, places: list[RoundItem], items_at_once: int
) -> None:
    round_ = session.get_one(Round, places[0].round_id)
    said = judge_all(session, round_, is_picky=True) | judge_all(session, round_, is_picky=False)
    assert len(said) == 4 * 2 * 2
    places[3].state = RoundItemState.SET_ASIDE
    session.flush()
    counted = {place.item_id for place in places[:2]}
    told: list[tuple[int, int]] = []
    matrix = load_votes(
        session,
        round_,
        lambda done, total: told.append((done, total)),
        items_at_once=items_at_once,
    )
    assert sorted(said_in(matrix)) == sorted(vote for vote in said if vote[0] in counted)
    order = list(zip(matrix.item_ids, matrix.candidate_ids, strict=True))
    assert order == sorted(order)
    assert matrix.n_items == 2
    assert matrix.judge_kind is UserKind.PERSON
    assert told[-1] == (items_at_once * (len(told) - 1), 3)


def test_a_round_that_nobody_judged_has_no_votes(session: Session, places: list[RoundItem]) -> None:
    matrix = load_votes(session, session.get_one(Round, places[0].round_id))
    assert matrix.n_items == matrix.votes.n_candidates == matrix.votes.n_people == 0
