"""What is stored of how each person judged: times that count, picks, and fast answers alike."""

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.evidence import Pattern, PersonFigures
from app.lifecycle import EvidenceKind, Purpose
from app.models import Judgement, Project, Round, User
from app.pace import spread_of
from app.queries.quality.people import list_of_people
from app.round_settings import LoopSettings
from tests.support.factories import make_project, make_round
from tests.support.judging import gather_now, make_judged_items
from tests.support.quality.checks import make_checks, settings_with
from tests.support.quality.people import judge_at_pace, make_annotators


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def round_(session: Session, project: Project) -> Round:
    return make_round(session, project, settings=LoopSettings(auto_advance=False))


def figures_of(session: Session, round_: Round) -> dict[int, PersonFigures]:
    return {
        stored.user_id: PersonFigures.read(stored.figures)
        for stored in list_of_people(session, [round_.id])
        if stored.kind == EvidenceKind.PEOPLE
    }


def test_times_and_picks_of_each_person_are_stored(
    session: Session, project: Project, round_: Round
) -> None:
    noor, lin = make_annotators(session, project, "Noor", "Lin")
    judge_at_pace(session, round_, {noor: 20, lin: 8}, n_items=4)
    found = figures_of(session, round_)
    assert set(found) == {noor.id, lin.id}
    of_noor = found[noor.id]
    assert (of_noor.n_judgements, of_noor.n_shown, of_noor.n_picked) == (4, 16, 8)
    assert of_noor.counted_ms == 80_000
    per_item, per_candidate = spread_of(of_noor.per_item), spread_of(of_noor.per_candidate)
    assert per_item is not None
    assert per_candidate is not None
    assert per_item.median == pytest.approx(20, rel=0.03)
    assert per_candidate.median == pytest.approx(5, rel=0.03)
    assert of_noor.same == found[lin.id].same == ()


def test_a_break_does_not_count_and_what_was_not_measured_has_no_pace(
    session: Session, project: Project, round_: Round
) -> None:
    noor, lin = make_annotators(session, project, "Noor", "Lin")
    judge_at_pace(session, round_, {noor: 3600, lin: 0}, n_items=2)
    found = figures_of(session, round_)
    assert 2 * 60_000 <= found[noor.id].counted_ms < 2 * 61_000
    assert spread_of(found[lin.id].per_item) is None
    assert found[lin.id].n_judgements == 2


def test_who_clicks_the_first_place_is_found_and_nobody_else(
    session: Session, project: Project, round_: Round
) -> None:
    noor, lin, kim = make_annotators(session, project, "Noor", "Lin", "Kim")
    judge_at_pace(session, round_, {noor: 20, lin: 9, kim: 0.4}, clicker=kim)
    found = figures_of(session, round_)
    assert found[noor.id].same == found[lin.id].same == ()
    (run,) = found[kim.id].same
    assert (run.pattern, run.places, run.n) == (Pattern.PLACES, (1,), 12)
    assert run.seconds == pytest.approx(0.4)
    assert run.seconds < run.skimming_seconds
    assert run.by_chance < 0.001
    judged = [session.get_one(Judgement, id_) for id_ in run.judgement_ids]
    assert {judgement.user_id for judgement in judged} == {kim.id}
    at = [judgement.submitted_at for judgement in judged]
    assert at == sorted(at)  # type: ignore[type-var]


@pytest.mark.parametrize(("seconds", "why"), [(9, "they read"), (0, "no time was measured")])
def test_the_first_place_alone_accuses_nobody(
    session: Session, project: Project, round_: Round, seconds: float, why: str
) -> None:
    noor, kim = make_annotators(session, project, "Noor", "Kim")
    judge_at_pace(session, round_, {noor: 20, kim: seconds}, clicker=kim)
    assert figures_of(session, round_)[kim.id].same == (), why


def test_items_of_another_purpose_change_nothing(
    session: Session, project: Project, round_: Round
) -> None:
    noor, lin = make_annotators(session, project, "Noor", "Lin")
    judge_at_pace(session, round_, {noor: 20, lin: 9}, n_items=3)
    before = figures_of(session, round_)
    make_judged_items(session, round_, [noor, lin], n_items=2, purpose=Purpose.MEASURE)
    session.execute(update(Judgement).values(active_ms=9_000).where(Judgement.active_ms == 0))
    gather_now(session, round_)
    assert figures_of(session, round_) == before


def test_check_items_of_the_round_are_stored_beside(session: Session, project: Project) -> None:
    (noor,) = make_annotators(session, project, "Noor")
    round_ = make_round(session, project, settings=settings_with(0.15))
    make_checks(session, project, 3)
    judge_at_pace(session, round_, {noor: 20}, n_items=20)
    found = figures_of(session, round_)[noor.id]
    assert found.checks.n_items == 3
    assert found.checks.n_fit == found.checks.n_misfit == 6
    assert found.n_judgements == 17, "of the twenty that were handed out"


def test_one_person_is_read_without_the_others(
    session: Session, project: Project, round_: Round
) -> None:
    noor, lin = make_annotators(session, project, "Noor", "Lin")
    judge_at_pace(session, round_, {noor: 20, lin: 8}, n_items=2)

    def own(user: User) -> set[int]:
        return {one.user_id for one in list_of_people(session, [round_.id], user_id=user.id)}

    assert own(noor) == {noor.id}
    assert own(lin) == {lin.id}
