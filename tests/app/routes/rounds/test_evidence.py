"""The part of a round's page that says how far its judgements can be trusted."""

from collections.abc import Sequence

import pytest
from bs4 import Tag
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.evidence import Figure, PositionEffect, PositionFigures
from app.lifecycle import Job, Role, RoundStatus, RunStatus
from app.measures import Undefined
from app.models import Project, Round, Run, User
from app.round_settings import LoopSettings
from app.web.pages.rounds.evidence import words_of as words_of_measure
from app.web.pages.rounds.evidence import words_of_positions
from tests.support.browsing import page, sign_in, text_of
from tests.support.factories import make_membership, make_project, make_round, make_user
from tests.support.judging import gather_now, make_judged_items, make_people


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session, name="Street scenes")


@pytest.fixture
def round_(session: Session, project: Project) -> Round:
    return make_round(session, project, settings=LoopSettings(auto_advance=False))


@pytest.fixture
def admin(client: TestClient, session: Session, project: Project) -> TestClient:
    user = make_user(session)
    make_membership(session, project, user, Role.ADMIN)
    return sign_in(client, session, user)


def words_of(part: Tag) -> str:
    return " ".join(part.get_text(" ").split())


def rows_of(admin: TestClient, round_: Round, table: str) -> list[list[str]]:
    shown = page(admin.get(f"/rounds/{round_.id}"))
    return [
        [words_of(cell) for cell in row.select("th, td")]
        for row in shown.select(f"#{table} tbody tr")
    ]


def test_alpha_comes_first_and_the_plain_share_last_with_what_chance_brings(
    admin: TestClient, session: Session, round_: Round
) -> None:
    make_judged_items(session, round_, make_people(session, 3), n_items=6)
    gather_now(session, round_)
    rows = rows_of(admin, round_, "agreement-measures")
    assert [row[0].partition(" ")[0] for row in rows] == [
        "Krippendorff's", "MASI", "Fleiss'", "Share",
    ]  # fmt: skip
    assert rows[0][1:] == ["1.000", "1.000 to 1.000", "better than chance", "24"]
    # Half of the candidates are picked: two who do so at random say the same half of the time.
    assert rows[-1][1:4] == ["100.0 %", "100.0 % to 100.0 %", "random clicking has 50.0 %"]


def test_two_annotators_have_cohens_kappa_and_one_has_a_reason(
    admin: TestClient, session: Session, round_: Round, project: Project
) -> None:
    make_judged_items(session, round_, make_people(session, 2), n_items=2)
    gather_now(session, round_)
    assert rows_of(admin, round_, "agreement-measures")[3][0].startswith("Cohen's kappa")
    round_.status = RoundStatus.CANCELLED
    alone = make_round(session, project, number=2, settings=LoopSettings(auto_advance=False))
    make_judged_items(session, alone, make_people(session, 1), n_items=2)
    gather_now(session, alone)
    rows = rows_of(admin, alone, "agreement-measures")
    assert {row[3] for row in rows} == {"undefined: one annotator"}
    assert {row[1] for row in rows} == {"–"}


def test_who_only_picks_the_first_agrees_least_and_is_named(
    admin: TestClient, session: Session, round_: Round
) -> None:
    *careful, hasty = make_people(session, 4)
    hasty.name = "Hal"

    def choose(user: User, shown: Sequence[int]) -> Sequence[int]:
        return shown[:1] if user is hasty else sorted(shown)[:2]

    make_judged_items(session, round_, [*careful, hasty], n_items=14, choose=choose)
    gather_now(session, round_)
    rows = rows_of(admin, round_, "agreement-people")
    assert len(rows) == 4
    assert rows[0][0] == "Hal"  # who agrees least comes first
    assert {row[3] for row in rows[1:]} == {"better than chance"}
    assert rows[0][5].startswith("position 1: 100.0 % instead of 25.0 %")
    said = text_of(admin.get(f"/rounds/{round_.id}"), "#positions")
    assert said.startswith("Positions matter")
    assert "Hal" in said.partition("It shows in the picks of")[2]


def test_a_habit_that_everybody_has_is_told_with_its_effect(
    admin: TestClient, session: Session, round_: Round
) -> None:
    people = make_people(session, 3)
    make_judged_items(session, round_, people, n_items=12, choose=lambda _, shown: shown[:1])
    gather_now(session, round_)
    said = text_of(admin.get(f"/rounds/{round_.id}"), "#positions")
    assert said.startswith(
        "Positions matter: of the candidates at position 1, 100.0 % are picked, where the random "
        "order explains 25.0 %. p < 0.001"
    )


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        (Figure(value=0.2, low=0.1, high=0.3), "better than chance"),
        (Figure(value=0.1, low=-0.1, high=0.3), "no better than chance"),
        (Figure(value=-0.2, low=-0.3, high=-0.1), "worse than chance"),
        (Figure(value=0.2), "too few items for an interval"),
        (Figure(undefined=Undefined.NO_OVERLAP), "undefined: no overlap"),
        (Figure(undefined=Undefined.ALL_SAME), "undefined: everybody says the same"),
    ],
)
def test_a_measure_in_words_goes_by_its_interval(figure: Figure, words: str) -> None:
    assert words_of_measure(figure) == words


def test_without_a_sign_of_positions_the_page_says_so() -> None:
    effect = PositionEffect(position=3, seen=0.32, expected=0.3)
    assert words_of_positions(PositionFigures(n=9, p=0.4, p_together=0.5, effect=effect)) == (
        "No sign that positions matter: at position 3, the most unlike the others, 32.0% are "
        "picked where the random order explains 30.0%."
    )
    assert words_of_positions(PositionFigures()).startswith("Positions cannot be tested")


def test_rounds_stand_beside_each_other(
    admin: TestClient, session: Session, round_: Round, project: Project
) -> None:
    people = make_people(session, 2)
    make_judged_items(session, round_, people, n_items=2)
    gather_now(session, round_)
    assert rows_of(admin, round_, "agreement-rounds") == []
    round_.status = RoundStatus.CANCELLED
    second = make_round(session, project, number=2, settings=LoopSettings(auto_advance=False))
    make_judged_items(session, second, people, n_items=2)
    gather_now(session, second)
    rows = rows_of(admin, second, "agreement-rounds")
    assert [[*row[:2], row[2].split()[0]] for row in rows] == [
        ["1", "direct", "1.000"],
        ["2", "direct", "1.000"],
    ]
    drawn = page(admin.get(f"/rounds/{second.id}")).select_one("#agreement svg.chart")
    assert drawn is not None
    assert drawn["aria-label"] == "Agreement over the rounds: Krippendorff's alpha 1"


def test_strategies_stand_beside_each_other_once_several_rounds_are_measured(
    admin: TestClient, session: Session, round_: Round, project: Project
) -> None:
    people = make_people(session, 2)
    make_judged_items(session, round_, people, n_items=3)
    gather_now(session, round_)
    assert rows_of(admin, round_, "agreement-strategies") == []
    for number, strategy in ((2, "monologue"), (3, "direct")):
        further = make_round(
            session,
            project,
            number=number,
            settings=LoopSettings(strategy=strategy, auto_advance=False),
            status=RoundStatus.CANCELLED,
        )
        round_.status, further.status = RoundStatus.CANCELLED, RoundStatus.JUDGING
        session.flush()
        make_judged_items(
            session,
            further,
            people,
            n_items=8,
            # Over the draws of the monologue these two never agree.
            choose=lambda user, shown, each=number: [
                candidate
                for place, candidate in enumerate(sorted(shown))
                if each == 3 or place % 2 == (user is people[0])
            ][:2],
        )
        gather_now(session, further)
        further.status = RoundStatus.CANCELLED
        session.flush()
    rows = rows_of(admin, further, "agreement-strategies")
    assert [(row[0], row[1], row[3], row[4]) for row in rows] == [
        ("direct", "1.000", "better than chance", "2"),
        ("monologue", "-0.969", "worse than chance", "1"),
    ]


def test_an_admin_asks_and_the_page_says_that_it_is_under_way(
    admin: TestClient, session: Session, round_: Round
) -> None:
    url = f"/rounds/{round_.id}"
    refused = admin.post(f"{url}/evidence")
    assert refused.status_code == 409
    assert "Nobody has judged anything in round 1 so far" in text_of(refused, "main")
    assert page(admin.get(url)).select("#agreement") == []
    make_judged_items(session, round_, make_people(session, 2), n_items=1)
    assert text_of(admin.get(url), "#gather-evidence") == "Measure now"
    assert admin.post(f"{url}/evidence", follow_redirects=False).status_code == 303
    asked = admin.get(url)
    assert page(asked).select("#gather-evidence") == []
    assert "It is being measured." in text_of(asked, "#agreement")
    assert admin.post(f"{url}/evidence").status_code == 409
    run = session.scalars(select(Run).where(Run.job == Job.ASSESS)).one()
    assert run.status is RunStatus.QUEUED


def test_a_failed_measurement_does_not_look_like_a_failed_round(
    admin: TestClient, session: Session, round_: Round
) -> None:
    make_judged_items(session, round_, make_people(session, 2), n_items=1)
    admin.post(f"/rounds/{round_.id}/evidence")
    run = session.scalars(select(Run).where(Run.job == Job.ASSESS)).one()
    run.status, run.error, run.finished_at = RunStatus.FAILED, "no memory", run.created_at
    session.commit()
    shown = admin.get(f"/rounds/{round_.id}")
    assert page(shown).select("#retry-round, .steps .is-failed") == []
    assert text_of(shown, "#gather-evidence") == "Measure now"
