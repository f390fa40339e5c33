"""Items with another purpose than training are judged like the others, and belong to no figure."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.lifecycle import Purpose, RoundItemState
from app.models import Admission, Judgement, Project, Round, RoundItem
from app.queries.counted import counted_items, counted_judgements
from app.queries.rounds.rounds import get_progress, has_unjudged_items
from app.round_settings import AdmissionSettings
from app.services.admission.apply import admit
from app.services.admission.preview import count_votes
from app.services.rounds.figures import collect_figures
from tests.support.factories import make_item, make_project, make_round, make_round_item, make_user
from tests.support.judging import open_item, submit


@pytest.fixture
def round_(session: Session) -> Round:
    """A round with an item to train on and one that only checks, both judged by one person."""
    project = make_project(session)
    round_ = make_round(session, project)
    for purpose in (Purpose.TRAINING, Purpose.CHECK):
        make_round_item(session, round_, make_item(session, project), purpose=purpose)
    user = make_user(session)
    for _ in range(2):
        judgement = open_item(session, round_, user)
        submit(session, judgement, picked=judgement.shown_order[:1])
    return round_


def place_of(session: Session, purpose: Purpose) -> RoundItem:
    return session.scalars(select(RoundItem).where(RoundItem.purpose == purpose)).one()


def test_what_counts_is_the_item_to_train_on_and_its_judgement(
    session: Session, round_: Round
) -> None:
    training = place_of(session, Purpose.TRAINING)
    assert session.scalars(select(counted_items)).all() == [training]
    counted = session.scalars(select(counted_judgements)).all()
    assert [judgement.round_item_id for judgement in counted] == [training.id]
    assert len(session.scalars(select(Judgement)).all()) == 2


def test_a_judgement_counts_only_while_it_is_submitted(session: Session, round_: Round) -> None:
    make_round_item(
        session, round_, make_item(session, session.get_one(Project, round_.project_id))
    )
    open_item(session, round_, make_user(session))
    assert len(session.scalars(select(counted_judgements)).all()) == 1


def test_progress_votes_and_figures_leave_the_others_out(session: Session, round_: Round) -> None:
    progress = get_progress(session, round_)
    assert (progress.n_items, progress.n_done) == (1, 1)
    assert (progress.n_slots, progress.n_submitted) == (1, 1)
    training = place_of(session, Purpose.TRAINING)
    assert count_votes(session, round_).preview(AdmissionSettings(policy="any")).n_items == 1
    admit(session, round_, AdmissionSettings(policy="any"))
    admitted = session.scalars(select(Admission)).all()
    assert {admission.item_id for admission in admitted} == {training.item_id}
    figures = collect_figures(session, round_)
    assert figures.n_open == 1
    assert figures.n_draws_judged == 3


def test_an_open_item_that_only_checks_keeps_no_round_from_ending(
    session: Session, round_: Round
) -> None:
    place_of(session, Purpose.CHECK).state = RoundItemState.OPEN
    session.flush()
    assert not has_unjudged_items(session, round_.id)
    place_of(session, Purpose.TRAINING).state = RoundItemState.OPEN
    session.flush()
    assert has_unjudged_items(session, round_.id)
