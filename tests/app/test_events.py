"""Events: rows of every version are read, and each is told in one sentence."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.events import EVENTS, BaseEvent, UnknownEvent, read_event
from app.events.accounts import ApiTokenCreated, UserErased
from app.events.base import OwnWords
from app.events.judging import JudgementStatusChanged
from app.events.runs import JOB_NAMES
from app.lifecycle import Job, JudgementStatus
from app.web.language.languages import speaking, translate
from tests.app.stored_events import ROWS, STORED


def test_every_event_is_among_the_stored_ones() -> None:
    assert set(STORED) == set(EVENTS)


@pytest.mark.parametrize(("tag", "details", "told"), ROWS)
def test_a_stored_event_is_read_and_told(tag: str, details: dict[str, Any], told: str) -> None:
    event = read_event(tag, details)
    assert type(event) is EVENTS[tag]
    assert event.details() == details
    assert translate(event.describe()) == told
    with speaking("de"):
        assert translate(event.describe()) not in {"", told}


def test_what_a_later_version_adds_to_an_event_is_passed_over() -> None:
    event = read_event("user:erased", {"user_id": 5, "n_deleted": 0, "because": "asked"})
    assert event == UserErased(user_id=5, n_deleted=0)


@pytest.mark.parametrize(
    ("tag", "details", "told"),
    [
        ("quality:check:failed", {"n": 3}, "Quality check failed"),
        ("round:created", {}, "Round created"),
        ("run:status:queued", {"run_id": 6, "job": "dream"}, "Run status queued"),
        ("user:sign-in-link:made", {"user_id": "Noor"}, "User sign in link made"),
        ("round:decided", {"decision": "continue", "reason": {"parts": 1}}, "Round decided"),
        ("", {}, ""),
    ],
)
def test_what_no_class_can_read_is_told_by_its_tag(
    tag: str, details: dict[str, Any], told: str
) -> None:
    event = read_event(tag, details)
    assert event == UnknownEvent(tag, details)
    assert event.describe() == told


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9)
)
KEYS = sorted({name for kind in EVENTS.values() for name in kind.model_fields} | {"else"})
INNER = st.dictionaries(st.sampled_from(["text", "parts", "n", "question", "amount"]), VALUES)
ANYTHING = st.dictionaries(
    st.sampled_from(KEYS), VALUES | INNER | st.lists(VALUES, max_size=2), max_size=4
)


@settings(
    max_examples=200,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],  # machines that run tests are busy
)
@given(st.sampled_from(ROWS), ANYTHING)
def test_no_row_can_break_a_page(
    row: tuple[str, dict[str, Any], str], other: dict[str, Any]
) -> None:
    tag, details, _ = row
    told = read_event(tag, {**details, **other}).describe()
    assert isinstance(translate(told), str)


def test_new_events_are_checked() -> None:
    with pytest.raises(ValueError, match="user_id"):
        UserErased.model_validate({"n_deleted": 1})
    with pytest.raises(ValueError, match="because"):
        UserErased.model_validate({"user_id": 5, "n_deleted": 1, "because": "asked"})


@pytest.mark.parametrize("kind", list(EVENTS.values()), ids=lambda kind: kind.__name__)
def test_own_words_may_be_taken_out(kind: type[BaseEvent]) -> None:
    for name, field in kind.model_fields.items():
        is_own = OwnWords() in field.metadata
        assert (name in kind.own_words()) is is_own
        assert not is_own or field.default is None


def test_the_own_words_are_these() -> None:
    own = {kind: kind.own_words() for kind in EVENTS.values() if kind.own_words()}
    assert own == {ApiTokenCreated: ("name",), JudgementStatusChanged: ("reason",)}


def test_every_job_has_a_name_in_the_history() -> None:
    assert set(JOB_NAMES) == set(Job)


def test_a_skip_tells_its_reason_in_the_words_of_who_skipped() -> None:
    skipped = JudgementStatusChanged(
        judgement_id=9, old=JudgementStatus.DRAFT, new=JudgementStatus.SKIPPED, reason="blurred"
    )
    with speaking("de"):
        assert translate(skipped.describe()).endswith("blurred")
