"""Whether what a model doubts of its own rationales is what people reject."""

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.evidence import DoubtFigures
from app.kit.errors import InvalidInput
from app.lifecycle import EvidenceKind
from app.models import Item, Round, Sample
from app.queries.judging.shown_item import get_candidate_texts
from app.queries.quality.evidence import list_evidence
from app.services.quality.doubts import measure_doubts
from tests.support.factories import make_project, make_round
from tests.support.judging import gather_now, make_judged_items, make_people, open_item, submit
from tests.support.quality.doubts import make_probed, make_probed_round, probed, probed_settings
from tests.support.rounds_in_process import close_now


def stored(session: Session, round_: Round) -> DoubtFigures:
    found = list_evidence(session, [round_.id], [EvidenceKind.DOUBTS])
    return DoubtFigures.read(found[round_.id, EvidenceKind.DOUBTS].figures)


def judge(session: Session, round_: Round, texts_that_fit: set[str], *, n_people: int = 2) -> None:
    """Let people pick these texts of the one item that is open."""
    for user in make_people(session, n_people):
        judgement = open_item(session, round_, user)
        texts = get_candidate_texts(session, judgement.shown_order)
        picked = [each for each in judgement.shown_order if texts[each] in texts_that_fit]
        submit(session, judgement, picked=picked, none_fits=not picked)


def test_verdicts_on_what_is_doubted_are_compared_with_the_others(session: Session) -> None:
    round_ = make_probed_round(session)
    texts = {"it is blue": probed("red", "blue"), "it is red": probed("red"), "so": probed()}
    make_probed(session, round_, texts, slots=2)
    judge(session, round_, {"it is red", "so"})
    found = measure_doubts(session, round_)
    assert (found.n_candidates, found.n_doubted, found.n_items) == (2, 1, 1), (
        "a text that nothing could be asked about is not part of it"
    )
    assert (found.n_verdicts, found.n_against) == (4, 2)
    assert (found.precision.value, found.recall.value) == (1.0, 1.0)
    assert (found.precision_by_chance, found.recall_by_chance) == (0.5, 0.5)
    assert found.above.value == pytest.approx(0.5)
    assert found.above.low is None, "one item has no interval"


def test_who_calls_the_answer_wrong_and_excluded_items_say_nothing(session: Session) -> None:
    round_ = make_probed_round(session)
    make_probed(session, round_, {"it is blue": probed("blue"), "it is red": probed("red")})
    (user,) = make_people(session, 1)
    submit(session, open_item(session, round_, user), answer_is_wrong=True)
    assert measure_doubts(session, round_).n_candidates == 0
    other = make_probed(session, round_, {"it is blue": probed("blue")})
    judge(session, round_, set(), n_people=1)
    assert measure_doubts(session, round_).n_candidates == 1
    session.execute(
        update(Item).where(Item.id == other.item_id).values(excluded_at="2026-01-01T00:00:00Z")
    )
    assert measure_doubts(session, round_).n_candidates == 0


def test_it_is_stored_with_the_evidence_and_says_whether_people_were_warned(
    session: Session,
) -> None:
    round_ = make_probed_round(session, probed_settings(warns=False))
    make_probed(session, round_, {"it is blue": probed("blue"), "it is red": probed("red")})
    judge(session, round_, {"it is red"}, n_people=1)
    gather_now(session, round_)
    found = stored(session, round_)
    assert (found.n_candidates, found.by_people, found.was_shown) == (2, True, False)


def test_where_a_critic_judges_the_closing_stores_it(session: Session) -> None:
    round_ = make_probed_round(session, probed_settings(judges="exact"))
    close_now(session, round_)
    found = stored(session, round_)
    assert (found.by_people, found.was_shown, found.n_candidates) == (False, False, 0)


def test_a_round_of_another_strategy_doubts_nothing(session: Session) -> None:
    round_ = make_round(session, make_project(session))
    make_judged_items(session, round_, make_people(session, 1), n_items=1)
    gather_now(session, round_)
    assert stored(session, round_).n_candidates == 0


def test_nobody_marks_what_a_model_asked_of_its_own_rationale(session: Session) -> None:
    round_ = make_probed_round(session)
    make_probed(session, round_, {"it is blue": probed("blue")})
    (user,) = make_people(session, 1)
    draw = session.scalars(select(Sample.id)).first()
    assert draw is not None
    judgement = open_item(session, round_, user)
    with pytest.raises(InvalidInput, match="does not belong to this item"):
        submit(session, judgement, none_fits=True, marks={draw: {1: {"question": "yes"}}})
