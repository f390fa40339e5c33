"""Which texts are paired or labelled, and by whose word."""

from typing import Any

import pytest

from app.lifecycle import DecidedBy
from app.services.releases.formats.pairs import list_labels, list_pairs, policies_of

Row = dict[str, Any]
ROUND = {"number": 1, "status": "completed", "judges": "people", "policy": "majority"}


def said(judge: str, fits: bool, *, round_: int = 1, kind: str = "person") -> Row:
    return {"round": round_, "judge": judge, "judge_kind": kind, "fits": fits}


def text(name: str, *verdicts: Row, admitted: tuple[int, ...] = (), kind: str = "person") -> Row:
    votes = [verdict["fits"] for verdict in verdicts]
    return {
        "kind": "rationale" if admitted else "candidate",
        "row_id": name,
        "verdicts": list(verdicts),
        "admissions": [
            {
                "round": round_,
                "policy": "majority",
                "judge_kind": kind,
                "n_fits": sum(votes),
                "n_votes": len(votes),
            }
            for round_ in admitted
        ],
    }


def pairs(texts: list[Row], by: DecidedBy, *rounds: Row) -> list[tuple[str, str]]:
    found = list_pairs(texts, by, policies_of({"rounds": rounds}))
    return [(pair.chosen["row_id"], pair.rejected["row_id"]) for pair in found]


def labels(texts: list[Row], by: DecidedBy, *rounds: Row) -> list[tuple[str, bool]]:
    found = list_labels(texts, by, policies_of({"rounds": rounds}))
    return [(label.text["row_id"], label.fits) for label in found]


def test_a_judgement_pairs_what_its_author_saw_and_nothing_else() -> None:
    texts = [
        text("a", said("ann", True), said("ben", False)),
        text("b", said("ann", False), said("ben", False)),
        text("c", said("cem", False)),
        text("d", said("ann", False, round_=2)),
    ]
    assert pairs(texts, DecidedBy.JUDGEMENT) == [("a", "b")]
    assert labels(texts, DecidedBy.JUDGEMENT) == [
        ("a", True),
        ("a", False),
        ("b", False),
        ("b", False),
        ("c", False),
        ("d", False),
    ]


def test_the_same_pair_by_two_people_is_two_rows_with_their_names() -> None:
    texts = [
        text("a", said("ann", True), said("ben", False)),
        text("b", said("ann", False), said("ben", True)),
    ]
    found = list_pairs(texts, DecidedBy.JUDGEMENT, {})
    assert [(pair.chosen["row_id"], pair.word.judge) for pair in found] == [
        ("a", "ann"),
        ("b", "ben"),
    ]


def test_agreed_pairs_need_somebody_who_prefers_and_nobody_who_contradicts() -> None:
    texts = [
        text("a", said("ann", True), said("ben", True), said("cem", False)),
        text("b", said("ann", False), said("ben", True)),
        text("c", said("ann", False), said("cem", True)),
        text("d", said("dana", False)),
    ]
    found = list_pairs(texts, DecidedBy.AGREED, {})
    # c: ann prefers a, cem prefers c. d: nobody judged it beside another.
    assert [
        (pair.chosen["row_id"], pair.rejected["row_id"], pair.word.n_for) for pair in found
    ] == [("a", "b", 1)]
    assert labels(texts, DecidedBy.AGREED) == [("d", False)]


def test_critics_decide_only_where_no_person_judged() -> None:
    texts = [
        text("a", said("ann", False), said("exact", True, kind="critic")),
        text("b", said("ann", True), said("exact", False, kind="critic")),
        text("c", said("exact", False, kind="critic")),
    ]
    assert pairs(texts, DecidedBy.AGREED) == [("a", "c"), ("b", "a")]
    assert labels(texts, DecidedBy.AGREED) == [("a", False), ("b", True), ("c", False)]


def test_a_policy_pairs_what_it_admitted_with_what_it_turned_down_in_that_round() -> None:
    texts = [
        text("a", said("ann", True), admitted=(1,)),
        text("b", said("ann", False)),
        text("c", said("ann", False, round_=2)),
        text("d", said("ann", False), said("ann", True, round_=2), admitted=(2,)),
        text("e", said("exact", False, kind="critic")),
    ]
    rounds = (ROUND, {**ROUND, "number": 2})
    # d was turned down in round 1, but round 2 admitted it.
    assert pairs(texts, DecidedBy.POLICY, *rounds) == [("a", "b"), ("d", "c")]
    assert labels(texts, DecidedBy.POLICY, *rounds) == [
        ("a", True),
        ("b", False),
        ("c", False),
        ("d", True),
    ]


@pytest.mark.parametrize(("status", "expected"), [("completed", [("a", False)]), ("cancelled", [])])
def test_a_round_that_was_cancelled_decided_nothing(
    status: str, expected: list[tuple[str, bool]]
) -> None:
    texts = [text("a", said("ann", False))]
    assert labels(texts, DecidedBy.POLICY, {**ROUND, "status": status}) == expected


@pytest.mark.parametrize("by", list(DecidedBy))
def test_texts_that_people_wrote_are_in_no_row(by: DecidedBy) -> None:
    written = {"kind": "written", "row_id": "w", "corrects": "a"}
    texts = [text("a", said("ann", True), admitted=(1,)), text("b", said("ann", False)), written]
    assert pairs(texts, by, ROUND) == [("a", "b")]
    assert "w" not in [name for name, _ in labels(texts, by, ROUND)]
