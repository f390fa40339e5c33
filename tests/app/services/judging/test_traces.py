"""How candidates came about, in rounds of several strategies: hidden, opened, marked, and then the
verdicts stand."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput, StaleVersion
from app.lifecycle import JudgementStatus, RoundStatus
from app.models import (
    Candidate,
    CorrectedObservation,
    Event,
    Judgement,
    JudgementRevision,
    Round,
    TurnMark,
    VerdictRow,
)
from app.opinions import Opinion
from app.services.judging import judgements, traces
from app.services.judging.ways import Way, find_ways
from app.services.refusals import NotSubmitted, RoundClosed, TracesAreOpen
from tests.support.factories import make_user
from tests.support.judging import locked, open_item, submit
from tests.support.rounds.mixed import MONOLOGUE, make_drawn_item, make_mixed_round


@pytest.fixture
def round_(session: Session) -> Round:
    round_ = make_mixed_round(session)
    make_drawn_item(session, round_)
    return round_


@pytest.fixture
def judgement(session: Session, round_: Round) -> Judgement:
    return open_item(session, round_, make_user(session, name="Noor"))


@pytest.fixture
def submitted(session: Session, judgement: Judgement) -> Judgement:
    return submit(session, judgement, picked=judgement.shown_order[:1])


@pytest.fixture
def opened(session: Session, submitted: Judgement) -> Judgement:
    return traces.open_traces(session, locked(session, submitted))


def first_way(session: Session, round_: Round, judgement: Judgement) -> Way:
    found = find_ways(session, round_, judgement)
    return next(ways[0] for ways in found.values())


def saying(way: Way, **values: str) -> Opinion:
    return Opinion(marks={way.sample_id: {1: values}})


def verdicts(session: Session) -> list[tuple[int, bool]]:
    rows = session.scalars(select(VerdictRow).order_by(VerdictRow.position))
    return [(row.candidate_id, row.fits) for row in rows]


def test_nothing_is_known_of_a_candidate_before_it_is_judged(
    session: Session, round_: Round, judgement: Judgement
) -> None:
    assert len(judgement.shown_order) == 3
    assert find_ways(session, round_, judgement) == {}
    assert judgement.n_trace_words == 0, "nobody reads a trace before"
    said = Opinion(marks={1: {1: {"question": "yes"}}})
    with pytest.raises(InvalidInput, match="once it is judged and opened"):
        judgements.save_draft(session, locked(session, judgement), said, version=0)
    with pytest.raises(NotSubmitted, match="Submit this item first"):
        traces.open_traces(session, locked(session, judgement))


def test_after_submitting_it_is_still_hidden_and_can_be_taken_back(
    session: Session, round_: Round, submitted: Judgement
) -> None:
    assert find_ways(session, round_, submitted) == {}
    with pytest.raises(InvalidInput, match="once it is judged and opened"):
        traces.mark_traces(session, locked(session, submitted), Opinion(), version=1)
    back = judgements.take_back(session, locked(session, submitted))
    assert back.status is JudgementStatus.DRAFT


def test_whoever_opened_it_sees_all_ways_and_changes_no_verdict_any_more(
    session: Session, round_: Round, opened: Judgement
) -> None:
    texts = {one.id: one.text for one in session.scalars(select(Candidate))}
    ways = find_ways(session, round_, opened)
    assert {texts[candidate_id] for candidate_id in ways} == set(MONOLOGUE)
    assert all(way.strategy.name == "monologue" for own in ways.values() for way in own)
    before = verdicts(session)
    with pytest.raises(TracesAreOpen, match="what you said of them stands"):
        judgements.take_back(session, locked(session, opened))
    with pytest.raises(StaleVersion):
        submit(session, opened, none_fits=True)
    assert verdicts(session) == before
    with pytest.raises(IntegrityError, match="opened_traces_stay"), session.begin_nested():
        session.execute(
            text(
                "UPDATE judgement SET status = 'draft', submitted_at = NULL,"
                " lease_until = now() WHERE id = :id"
            ),
            {"id": opened.id},
        )


def test_opening_twice_is_opening_once(session: Session, round_: Round, opened: Judgement) -> None:
    at = opened.traces_opened_at
    traces.open_traces(session, locked(session, opened))
    assert opened.traces_opened_at == at
    told = session.scalars(select(Event.tag).where(Event.round_id == round_.id)).all()
    assert list(told).count("judgement:traces:opened") == 1


def test_what_is_said_of_opened_ways_is_stored_with_each_change_and_nothing_else_of_it(
    session: Session, round_: Round, opened: Judgement
) -> None:
    way = first_way(session, round_, opened)
    before, picked = verdicts(session), opened.picked
    said = saying(way, question="yes").model_copy(
        update={"none_fits": True, "picked": (), "corrections": {way.sample_id: {1: "tiny"}}}
    )
    traces.mark_traces(session, locked(session, opened), said, version=opened.version)
    again = saying(way, question="no", observation="yes")
    traces.mark_traces(session, locked(session, opened), again, version=opened.version)
    traces.mark_traces(session, locked(session, opened), again, version=0)  # the same: nothing
    rows = {(row.of, row.value) for row in session.scalars(select(TurnMark))}
    assert rows == {("question", "no"), ("observation", "yes")}
    assert session.scalars(select(CorrectedObservation)).all() == []
    assert (verdicts(session), opened.picked, opened.none_fits) == (before, picked, False)
    actions = session.scalars(select(JudgementRevision.action).order_by(JudgementRevision.number))
    assert list(actions) == ["submit", "mark", "mark"]


def test_another_tab_overwrites_nothing(session: Session, round_: Round, opened: Judgement) -> None:
    way = first_way(session, round_, opened)
    version = opened.version
    traces.mark_traces(
        session, locked(session, opened), saying(way, question="yes"), version=version
    )
    with pytest.raises(StaleVersion, match="another tab"):
        traces.mark_traces(
            session, locked(session, opened), saying(way, question="no"), version=version
        )


def test_nothing_is_said_of_a_draw_that_led_nowhere_here(
    session: Session, round_: Round, opened: Judgement
) -> None:
    other = make_drawn_item(session, round_)
    foreign = open_item(session, round_, make_user(session, name="Ada"))
    assert foreign.round_item_id == other.id
    submit(session, foreign, none_fits=True)
    traces.open_traces(session, locked(session, foreign))
    way = first_way(session, round_, foreign)
    with pytest.raises(InvalidInput, match="does not belong to this item"):
        traces.mark_traces(
            session, locked(session, opened), saying(way, question="yes"), version=opened.version
        )


def test_when_the_round_is_closed_nothing_is_opened_or_marked_any_more(
    session: Session, round_: Round, opened: Judgement
) -> None:
    way = first_way(session, round_, opened)
    round_.status = RoundStatus.TRAINING
    session.flush()
    with pytest.raises(RoundClosed):
        traces.mark_traces(
            session, locked(session, opened), saying(way, question="yes"), version=opened.version
        )
    assert find_ways(session, round_, opened), "to read it is still there"
