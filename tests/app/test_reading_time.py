"""The time at an item that counts: a break does not, reading and typing do; one rule everywhere."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.lifecycle import UserKind
from app.models import Judgement
from app.opinions import Opinion
from app.queries.judging.own_work import list_days
from app.queries.projects.overview import count_project, sum_effort
from app.reading_time import longest_ms
from app.services.judging import judgements
from tests.support.factories import (
    make_candidate,
    make_item,
    make_project,
    make_round,
    make_round_item,
    make_user,
)
from tests.support.judging import (
    CONE,
    locked,
    make_episodes,
    make_monologue_round,
    open_item,
)

HALF_AN_HOUR = 30 * 60_000


def begun(session: Session, *, question: str = "is it red?", texts: tuple[str, ...]) -> Judgement:
    project = make_project(session)
    round_ = make_round(session, project)
    item = make_item(session, project, question=question, answer="yes")
    make_round_item(session, round_, item, texts=texts)
    return open_item(session, round_, make_user(session))


def test_the_limit_grows_with_what_there_is_to_read() -> None:
    assert longest_ms(n_words=10) == 60_000, "the least"
    assert longest_ms(n_words=108) == 4 * (10_000 + 108 * 60_000 // 238) == 148_904
    assert longest_ms(n_words=8, n_trace_words=100) == longest_ms(n_words=108)
    assert longest_ms(n_words=108, n_typed=36) - longest_ms(n_words=108) == 60_000


def test_words_are_counted_when_an_item_is_handed_out(session: Session) -> None:
    judgement = begun(session, texts=("the ball is red", "  a  ball\nis there "))
    assert judgement.n_words == 3 + 1 + 4 + 4
    assert (judgement.n_trace_words, judgement.n_typed) == (0, 0)
    session.refresh(judgement)
    assert judgement.n_words == 12


def test_scripts_without_spaces_have_words_too(session: Session) -> None:
    judgement = begun(session, question="这个球是什么颜色的", texts=("因为球是红色的",))
    assert judgement.n_words == (1 + 4) + 1 + (1 + 3)


def test_the_looks_before_a_rationale_are_read_too(session: Session) -> None:
    round_ = make_monologue_round(session)
    make_episodes(session, round_, {"they differ in size": [[CONE]]})
    judgement = open_item(session, round_, make_user(session))
    assert judgement.n_trace_words >= len(" ".join(CONE).split())


def test_what_is_typed_counts_even_if_it_is_deleted_again(session: Session) -> None:
    judgement = begun(session, texts=("the ball is red", "it is"))
    first = judgement.shown_order[0]
    opinion = Opinion(picked=[first], comment="two words", edits={first: "the ball is bright red"})
    judgements.save_draft(session, locked(session, judgement), opinion, version=0)
    session.flush()  # the words are counted by the database
    session.refresh(judgement)
    assert judgement.n_typed == 7
    judgements.submit(
        session, locked(session, judgement), Opinion(picked=[first]), version=judgement.version
    )
    session.refresh(judgement)
    assert judgement.n_typed == 7


def test_a_critic_reads_nothing(session: Session) -> None:
    project = make_project(session)
    round_ = make_round(session, project)
    place = make_round_item(session, round_, make_item(session, project))
    critic = make_user(session, kind=UserKind.CRITIC)
    judgement = Judgement(
        round_item_id=place.id,
        round_id=round_.id,
        user_id=critic.id,
        user_kind=UserKind.CRITIC,
        max_slots=place.max_slots,
        shown_order=[make_candidate(session, make_item(session, project), "it is").id],
        status="released",
    )
    session.add(judgement)
    session.flush()  # the words are counted by the database
    session.refresh(judgement)
    assert judgement.n_words == 0


@pytest.mark.parametrize("n_words", [0, 7, 57, 108, 1000])
@pytest.mark.parametrize("n_typed", [0, 35])
def test_statements_count_as_the_program_does(session: Session, n_words: int, n_typed: int) -> None:
    judgement = begun(session, texts=("it is",))
    judgement.n_words, judgement.n_typed, judgement.active_ms = n_words, n_typed, HALF_AN_HOUR
    session.flush()  # read by the statement
    found = session.scalar(select(Judgement.counted_ms).where(Judgement.id == judgement.id))
    assert found == judgement.counted_ms == longest_ms(n_words=n_words, n_typed=n_typed)


def test_every_figure_of_time_leaves_a_break_out(session: Session) -> None:
    """Two items: one with a break of half an hour, one judged in 20 seconds."""
    project = make_project(session)
    round_ = make_round(session, project)
    noor = make_user(session)
    for active_ms in (HALF_AN_HOUR, 20_000):
        make_round_item(session, round_, make_item(session, project))
        judgement = open_item(session, round_, noor)
        judgements.submit(session, locked(session, judgement), Opinion(none_fits=True), version=0)
        judgement.active_ms = active_ms
    session.flush()  # read by the statements
    expected = 60_000 + 20_000
    assert judgement.submitted_at is not None
    assert sum_effort(session, round_.id).counted_ms == expected
    assert count_project(session, project.id).effort.counted_ms == expected
    (day,) = list_days(session, noor.id, sees_all=True, since=round_.created_at, zone="UTC")
    assert day.counted_ms == expected
