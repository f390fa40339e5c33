"""Opinions: the same from a form, from JSON and from a row, and nowhere a field forgotten."""

import re

import pytest
from sqlalchemy import inspect
from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput
from app.models import Judgement
from app.opinions import NOTHING, REMARKS, Box, Opinion, remarks_of
from app.routes.judging.judging import OpinionForm
from app.services.judging.opinions import opinion_of
from tests.architecture.lock import REPOSITORY
from tests.support.factories import make_item, make_project, make_round, make_round_item, make_user
from tests.support.judging import open_item, submit

IN_FORMS = {
    **{"faults": "fault", "edits": "edit"},
    **{"marks": "mark", "corrections": "correction", "boxes": "box"},
}
"""Fields that a form spells in a way of its own."""


def test_an_opinion_is_the_same_however_it_was_written() -> None:
    one = Opinion(picked=(3, 1), comment=" why\r\n", faults={7: ("b", "a"), 8: ()}, edits={5: " "})
    other = Opinion(picked=(1, 3, 3), comment="why", faults={7: ("a", "b")})
    assert one == other
    assert one.model_dump(mode="json") == other.model_dump(mode="json")


def test_an_opinion_comes_back_from_json_as_it_was() -> None:
    opinion = Opinion(none_fits=True, faults={7: ("unclear",)}, edits={7: "“better”"}, comment="x",
        marks={5: {2: {"question": "yes"}}}, corrections={5: {1: "blue"}},
        boxes={5: {1: Box(left=0.1, top=0.2, right=0.33333, bottom=1)}})  # fmt: skip
    assert Opinion.model_validate_json(opinion.model_dump_json()) == opinion
    form = OpinionForm.model_validate({"version": 1, "opinion": opinion.model_dump_json()})
    assert form.read() == opinion


def test_a_form_says_the_same_field_by_field() -> None:
    form = OpinionForm.model_validate(
        {
            "version": "1",
            "active_ms": "5",
            "picked": ["9"],
            "is_flagged": "true",
            "fault": ["7:unclear", "7:restates_answer"],
            "edited": ["7", "9"],
            "edit": ["better", ""],
            "mark-5-2-question": "yes",
            "mark-5-2-observation": "",
            "correction-5-1": " blue ",
            "correction-5-2": "",
            **{"box-5-1-left": "10", "box-5-1-top": " 20,5 ", "box-5-1-right": "100"},
            **{f"box-5-2-{edge}": "" for edge in ("left", "top", "right", "bottom")},
        }
    )
    assert form.read() == Opinion(
        picked=(9,),
        is_flagged=True,
        faults={7: ("restates_answer", "unclear")},
        edits={7: "better"},
        marks={5: {2: {"question": "yes"}}},
        corrections={5: {1: "blue"}},
        boxes={5: {1: Box(left=0.1, top=0.205, right=1, bottom=1)}},
    )


@pytest.mark.parametrize(
    "name",
    [
        "mark-5-question",
        "mark-x-1-question",
        "mark-5--question",
        "correction-5",
        "mark-",
        "box-5-1",
    ],
)
def test_a_field_about_no_turn_is_refused(name: str) -> None:
    form = OpinionForm.model_validate({"version": "1", name: "yes"})
    with pytest.raises(InvalidInput, match="does not name its turn"):
        form.read()


@pytest.mark.parametrize("edge", ["x", "inf", "nan", "1e999"])
def test_an_edge_that_is_no_number_is_refused(edge: str) -> None:
    form = OpinionForm.model_validate({"version": "1", "box-5-1-left": edge})
    with pytest.raises(InvalidInput, match="are numbers"):
        form.read()


def test_an_opinion_comes_back_from_its_row_as_it_was(session: Session) -> None:
    project = make_project(session)
    round_ = make_round(session, project)
    make_round_item(session, round_, make_item(session, project))
    judgement = open_item(session, round_, make_user(session))
    assert opinion_of(judgement) == NOTHING
    first, second, _ = judgement.shown_order
    opinion = Opinion(
        picked=(first,),
        comment="because",
        faults={second: ("unclear",)},
        edits={second: "a better text"},
        **dict.fromkeys(REMARKS, True),
    )
    submit(session, judgement, **opinion.model_dump())
    session.flush()
    session.refresh(judgement)
    assert opinion_of(judgement) == opinion
    assert len(remarks_of(opinion)) == len(REMARKS)


def test_every_field_has_its_column_and_its_control() -> None:
    columns = set(inspect(Judgement).columns.keys())
    folder = REPOSITORY / "templates/judge"
    pieces = [*folder.glob("_*.html"), *folder.glob("traces/*.html")]
    work = "".join(piece.read_text(encoding="utf-8") for piece in pieces)
    controls = set(re.findall(r'\bname(?:="| = ")(\w+)', work))
    for name in Opinion.model_fields:
        assert name in columns
        assert IN_FORMS.get(name, name) in controls
