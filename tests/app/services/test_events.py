"""The history: what is recorded, and what is read of rows that other versions wrote."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.events import EVENTS, UnknownEvent
from app.events.dataset import ItemExcluded, ItemIncluded
from app.events.judging import (
    JudgementStatusChanged,
    QuestionsDecided,
    QuestionsTakenBack,
    TracesOpened,
)
from app.events.rounds import RoundCreated, RoundDecided
from app.kit.sentences import CountedSentence
from app.lifecycle import Decision
from app.models import Event
from app.queries.history import list_item_events, list_round_events
from app.services.events import record
from tests.app.stored_events import ROWS
from tests.support.factories import make_item, make_project, make_round, make_user

WHY = CountedSentence("%(n)s round was enough.", "%(n)s rounds were enough.", n=2)


def test_an_event_comes_back_as_it_was_recorded(session: Session) -> None:
    project, ada = make_project(session), make_user(session, name="Ada")
    round_ = make_round(session, project)
    created = RoundCreated(number=1)
    decided = RoundDecided(decision=Decision.ROUND_LIMIT, reason=WHY)
    record(session, created, project_id=project.id, round_id=round_.id, actor=ada)
    session.flush()
    record(session, decided, project_id=project.id, round_id=round_.id, actor=ada.id)
    session.flush()
    newest, oldest = list_round_events(session, round_.id)
    assert (newest.event, newest.actor_name) == (decided, "Ada")
    assert (oldest.event, oldest.actor_name) == (created, "Ada")
    assert isinstance(newest.event, RoundDecided)
    assert isinstance(newest.event.reason, CountedSentence)


def test_a_round_tells_all_events_of_other_versions_but_the_answers_of_people(
    session: Session,
) -> None:
    project = make_project(session)
    round_ = make_round(session, project)
    for tag, details, _ in ROWS:
        session.add(Event(tag=tag, project_id=project.id, round_id=round_.id, details=details))
    session.add(Event(tag="quality:check:failed", round_id=round_.id, details={"n": 3}))
    session.flush()
    lines = list_round_events(session, round_.id)
    found = {line.event.tag for line in lines}
    assert found == {*EVENTS, "quality:check:failed"} - {
        JudgementStatusChanged.tag,
        TracesOpened.tag,
        QuestionsDecided.tag,
        QuestionsTakenBack.tag,
    }
    assert [line for line in lines if isinstance(line.event, UnknownEvent)] == [
        line for line in lines if line.event.tag == "quality:check:failed"
    ]


def test_an_item_tells_its_own_events_alone(session: Session) -> None:
    project = make_project(session)
    item, other = make_item(session, project), make_item(session, project)
    events = (ItemExcluded(item_id=item.id, reason="blurred"), ItemIncluded(item_id=item.id))
    for event in (*events, ItemIncluded(item_id=other.id)):
        record(session, event, project_id=project.id)
        session.flush()
    later = {"item_id": item.id, "by": "nobody"}
    session.add(Event(tag="item:turned:round", project_id=project.id, details=later))
    session.flush()
    found = [line.event for line in list_item_events(session, item)]
    assert found == [UnknownEvent("item:turned:round", later), *reversed(events)]


def test_a_detail_that_is_none_is_not_stored(session: Session) -> None:
    record(session, JudgementStatusChanged.model_validate(
        {"judgement_id": 3, "old": "leased", "new": "submitted"}
    ))  # fmt: skip
    session.flush()
    stored = session.scalars(select(Event.details)).one()
    assert stored == {"judgement_id": 3, "old": "leased", "new": "submitted"}
