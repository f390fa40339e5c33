"""Items with another purpose than training are judged like the others, and belong to no figure."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.lifecycle import Job, Purpose, RunStatus, Split
from app.models import Item, Judgement, Project, Round, RoundItem, User
from app.queries.admission.adjudications import count_disputes
from app.queries.counted import counted_items, counted_judgements
from app.queries.dataset import items as item_queries
from app.queries.judging.home import list_home_rows
from app.queries.projects.guidelines import list_versions
from app.queries.projects.overview import count_project, sum_effort
from app.queries.projects.projects import list_members
from app.queries.rounds.candidates import (
    count_draws,
    list_judged_candidate_ids,
    list_round_candidates,
)
from app.queries.rounds.figures import count_fitting_draws, count_marks, count_sampled
from app.queries.rounds.progress import get_progress
from app.queries.rounds.rounds import has_unjudged_items, list_train_item_ids
from app.round_settings import AdmissionSettings
from app.services.admission.apply import admit
from app.services.admission.preview import count_votes
from app.services.quality.anchors import find_serving, put_anchors_in
from app.services.rounds.figures import collect_figures
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_run,
    make_user,
)
from tests.support.judging import open_item, submit
from tests.support.quality.anchors import anchored_settings, complete, open_anchors, places_of
from tests.support.quality.comparisons import make_adapter, make_sampled
from tests.support.rounds.asked_questions import QUESTIONS, choose, open_image, store_questions
from tests.support.rounds.asked_questions import submit as keep

OTHERS = (Purpose.MEASURE, Purpose.CHECK, Purpose.ANCHOR, Purpose.COMPARISON)
N_TRAINING = 3
N_FIRST = 5
N_OTHERS = len(OTHERS) + 2


def put_in(session: Session, round_: Round, purpose: Purpose) -> RoundItem:
    project = session.get_one(Project, round_.project_id)
    split = Split.TRAIN if purpose is Purpose.TRAINING else Split.VALIDATION
    return make_round_item(
        session, round_, make_item(session, project, split=split), slots=2, purpose=purpose
    )


def judge_all(session: Session, round_: Round, user: User, n: int) -> None:
    for _ in range(n):
        judgement = open_item(session, round_, user)
        submit(session, judgement, picked=sorted(judgement.shown_order)[:1], active_ms=0)


def make_judged(session: Session, *, others: bool) -> tuple[Round, list[User]]:
    """A second round that two people judged, with items of every other purpose mixed in or without.

    Anchors are put in as the start of a round does it, chosen from the first round; so is an item
    on which the adapter of that round is compared with the base.
    """
    project = make_project(session)
    people = [make_user(session), make_user(session)]
    for user in people:
        make_membership(session, project, user)
    first = make_round(session, project)
    for _ in range(N_FIRST):
        put_in(session, first, Purpose.TRAINING)
    for user in people:
        judge_all(session, first, user, N_FIRST)
    admit(session, first, AdmissionSettings(policy="any"))
    complete(session, first)
    make_adapter(session, first)
    settings = anchored_settings(0, overlap=2)
    round_ = make_round(session, project, number=2, settings=settings)
    for _ in range(N_TRAINING):
        put_in(session, round_, Purpose.TRAINING)
    if others:
        for purpose in OTHERS:
            put_in(session, round_, purpose)
        put_anchor_in(session, round_)
        make_item(session, project, split=Split.TEST)
        make_sampled(session, first, n_items=1)
        assert len(places_of(session, round_, Purpose.COMPARISON)) == 2, "and one row of its own"
        ask_about(session, round_, people[0])
    for user in people:
        judge_all(session, round_, user, N_TRAINING + (N_OTHERS if others else 0))
    return round_, people


def put_anchor_in(session: Session, round_: Round) -> None:
    settings = anchored_settings(1, overlap=2)
    usable = frozenset(list_train_item_ids(session, round_.project_id))
    anchors = find_serving(session, round_, settings, usable)
    put_anchors_in(session, round_, settings, anchors)
    assert len(open_anchors(session, round_)) == 2, "this one, and the row of its own"


def ask_about(session: Session, round_: Round, user: User) -> None:
    """Questions that the model asked in the round, one of which became an item meanwhile."""
    project = session.get_one(Project, round_.project_id)
    run = make_run(session, project, Job.GENERATE, round_=round_)
    run.status, run.finished_at = RunStatus.SUCCEEDED, datetime.now(UTC)
    of_round = select(RoundItem).where(
        RoundItem.round_id == round_.id, RoundItem.purpose == Purpose.TRAINING
    )
    place = session.scalars(of_round).first()
    assert place is not None
    store_questions(session, run, session.get_one(Item, place.item_id))
    review = open_image(session, project, user)
    keep(session, review, choose(session, review, keep=[QUESTIONS[0][0]]), active_ms=9_000)


def _project_counts(session: Session, round_: Round) -> Any:
    """Without the numbers of items, of which one project has more."""
    counts = asdict(count_project(session, round_.project_id))
    return {
        name: value for name, value in counts.items() if "item" not in name and name != "n_train"
    }


def _figures(session: Session, round_: Round) -> Any:
    """Without what the model asked, and the number of items, of which that made one more."""
    figures = collect_figures(session, round_)
    return figures.model_copy(update={"n_items": 0, "questions": None})


def _progress(session: Session, round_: Round, names: str) -> list[int]:
    progress = get_progress(session, round_)
    return [getattr(progress, f"n_{name}") for name in names.split()]


Reader = Callable[[Session, Round, list[User]], Any]

READERS: dict[str, Reader] = {
    "progress of the round": lambda s, r, _: _progress(s, r, "items done open slots submitted"),
    "who judges": lambda s, r, _: _progress(s, r, "annotators"),
    "shown candidates": lambda s, r, _: count_draws(s, r.id),
    "what is disputed": lambda s, r, _: count_disputes(s, r.id, None),
    "whether something is left": lambda s, r, _: has_unjudged_items(s, r.id),
    "votes by policy": lambda s, r, _: [
        count_votes(s, r).preview(AdmissionSettings(policy=policy))
        for policy in ("any", "majority", "unanimous")
    ],
    "what is admitted": lambda s, r, _: admit(s, r, AdmissionSettings(policy="any")),
    "figures of the round": lambda s, r, _: _figures(s, r),
    "draws that fit": lambda s, r, _: count_fitting_draws(s, r.id),
    "sampled items": lambda s, r, _: count_sampled(s, r.id),
    "marks": lambda s, r, _: count_marks(s, r.id),
    "states of items": lambda s, r, _: item_queries.count_round_items(s, r.id),
    "start page": lambda s, r, people: [
        (row.n_items, row.n_judged)
        for row in list_home_rows(
            s, people[0].id, sees_all=False, since=datetime(2020, 1, 1, tzinfo=UTC)
        )
    ],
    "members": lambda s, r, _: [m.n_submitted for m in list_members(s, r.project_id)],
    "versions of the guidelines": lambda s, r, _: [
        row.n_judgements for row in list_versions(s, r.project_id)
    ],
    "time of people": lambda s, r, _: sum_effort(s, r.id),
    "figures of the project": lambda s, r, _: _project_counts(s, r),
    "candidates for a critic": lambda s, r, _: len(list_round_candidates(s, r.id)),
    "texts with a verdict": lambda s, r, _: len(
        list_judged_candidate_ids(
            s,
            s.scalars(select(counted_items.item_id).where(counted_items.round_id == r.id)).all(),
            before_round_id=r.id + 1,
        )
    ),
}


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_counts_the_same_with_other_items_mixed_in(
    session: Session, reader: str
) -> None:
    without, with_others = (make_judged(session, others=others) for others in (False, True))
    read = READERS[reader]
    assert read(session, *with_others) == read(session, *without)
    n_judged = select(Judgement.id).where(Judgement.round_id == with_others[0].id)
    assert len(session.scalars(n_judged).all()) == 2 * (N_TRAINING + N_OTHERS)


def test_a_judgement_counts_only_while_it_is_submitted(session: Session) -> None:
    round_ = make_round(session, make_project(session))
    for _ in range(2):
        put_in(session, round_, Purpose.TRAINING)
    user = make_user(session)
    judge_all(session, round_, user, 1)
    open_item(session, round_, user)
    assert len(session.scalars(select(counted_judgements)).all()) == 1
    assert len(session.scalars(select(counted_items)).all()) == 2
