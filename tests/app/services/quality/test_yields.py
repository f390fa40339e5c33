"""What each way of sampling brought, for the time that people and machines spent on it."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.evidence import YieldFigures
from app.lifecycle import (
    EvidenceKind,
    Job,
    JudgementStatus,
    Purpose,
    RoundItemState,
    RunStatus,
    UserKind,
)
from app.models import (
    Admission,
    Judgement,
    Project,
    Round,
    RoundCandidate,
    RoundItem,
    RunShard,
    Sample,
    User,
)
from app.queries.quality.evidence import list_evidence
from app.round_settings import JudgingSettings, LoopSettings
from app.services.quality.yields import measure_yields
from tests.support.factories import (
    make_item,
    make_project,
    make_round,
    make_round_item,
    make_run,
    make_user,
)
from tests.support.judging import gather_now, make_judged_items, make_people
from tests.support.rounds_in_process import close_now

BECAUSE, SEEING = "because", ", seeing that"


def draw(session: Session, round_: Round, draws: dict[int, list[tuple[str, float]]]) -> None:
    """Add a sampling of 20 seconds. draws: by candidate, with which prompt and temperature."""
    project = session.get_one(Project, round_.project_id)
    run = make_run(session, project, Job.GENERATE, round_=round_, status=RunStatus.RUNNING)
    shard = RunShard(run_id=run.id, number=1, item_ids=[], attempt=1, seconds=20.0)
    session.add(shard)
    session.flush()
    number = 0
    for candidate in session.scalars(
        select(RoundCandidate).where(RoundCandidate.candidate_id.in_(draws))
    ):
        candidate.n_draws = len(draws[candidate.candidate_id])
        for prompt, temperature in draws[candidate.candidate_id]:
            number += 1
            session.add(
                Sample(
                    run_id=run.id, shard_id=shard.id, shard_attempt=1, item_id=candidate.item_id,
                    candidate_id=candidate.candidate_id, strategy="direct", prompt=prompt,
                    temperature=temperature, number=number, seed=1, n_tokens=10,
                )
            )  # fmt: skip
    session.flush()


def candidates_of(session: Session, place: RoundItem) -> list[int]:
    ids = select(RoundCandidate.candidate_id).where(RoundCandidate.item_id == place.item_id)
    return list(session.scalars(ids.order_by(RoundCandidate.rank)))


def judge(session: Session, place: RoundItem, user: User, *, ms: int) -> None:
    session.add(
        Judgement(
            round_item_id=place.id, round_id=place.round_id, user_id=user.id, slot=1,
            max_slots=place.max_slots, status=JudgementStatus.SUBMITTED, none_fits=True,
            shown_order=candidates_of(session, place), submitted_at=func.now(), active_ms=ms,
        )
    )  # fmt: skip
    session.flush()


def admit(session: Session, place: RoundItem, candidate_id: int) -> None:
    session.add(
        Admission(
            round_id=place.round_id, item_id=place.item_id, candidate_id=candidate_id,
            policy="majority", judge_kind=UserKind.PERSON, n_fits=1, n_votes=1,
        )
    )  # fmt: skip
    session.flush()


def test_a_text_counts_for_each_way_by_its_share_of_the_draws(session: Session) -> None:
    """Two texts were seen for 60 seconds, so 30 each. The first was drawn once with one prompt and
    twice with the other, and is admitted."""
    project = make_project(session)
    round_ = make_round(session, project)
    place = make_round_item(
        session, round_, make_item(session, project), texts=("a", "b"), state=RoundItemState.DONE
    )
    one, other = candidates_of(session, place)
    draw(session, round_, {one: [(BECAUSE, 0.3)] + [(SEEING, 0.3)] * 2, other: [(SEEING, 0.9)]})
    judge(session, place, make_user(session), ms=60_000)
    admit(session, place, one)
    figures = measure_yields(session, round_)
    assert figures.machine_seconds == pytest.approx(20)
    assert figures.by_people
    found = {
        (line.prompt, line.temperature): (line.n_draws, line.n_tokens, line.shown, line.admitted,
                                          line.human_ms)
        for line in figures.lines
    }  # fmt: skip
    assert found == {
        (BECAUSE, 0.3): pytest.approx((1, 10, 1 / 3, 1 / 3, 10_000)),
        (SEEING, 0.3): pytest.approx((2, 20, 2 / 3, 2 / 3, 20_000)),
        (SEEING, 0.9): pytest.approx((1, 10, 1, 0, 30_000)),
    }


def test_what_people_do_not_see_costs_machines_only(session: Session) -> None:
    project = make_project(session)
    round_ = make_round(session, project)
    place = make_round_item(session, round_, make_item(session, project), texts=("a", "b"))
    one, other = candidates_of(session, place)
    hidden = session.get_one(RoundCandidate, (round_.id, other))
    hidden.is_shown, hidden.chosen_by = False, "not_shown"
    draw(session, round_, {one: [(BECAUSE, 0.3)], other: [(SEEING, 0.3)]})
    judge(session, place, make_user(session), ms=8_000)
    lines = {line.prompt: line for line in measure_yields(session, round_).lines}
    assert (lines[BECAUSE].shown, lines[BECAUSE].human_ms) == (1, 8_000)
    assert (lines[SEEING].shown, lines[SEEING].human_ms, lines[SEEING].n_tokens) == (0, 0, 10)


def test_check_items_and_other_rounds_are_not_part_of_it(session: Session) -> None:
    project = make_project(session)
    round_ = make_round(session, project)
    place = make_round_item(session, round_, make_item(session, project), texts=("a",))
    (one,) = candidates_of(session, place)
    draw(session, round_, {one: [(BECAUSE, 0.3)]})
    judge(session, place, make_user(session), ms=8_000)
    before = measure_yields(session, round_)
    check = make_round_item(
        session, round_, make_item(session, project), texts=("c",), purpose=Purpose.CHECK,
        state=RoundItemState.STANDING,
    )  # fmt: skip
    judge(session, check, make_user(session), ms=90_000)
    assert measure_yields(session, round_) == before


def test_it_is_stored_with_the_evidence_of_people(session: Session) -> None:
    round_ = make_round(session, make_project(session), settings=LoopSettings(auto_advance=False))
    make_judged_items(session, round_, make_people(session, 2), n_items=1)
    gather_now(session, round_)
    stored = list_evidence(session, [round_.id], [EvidenceKind.YIELD])
    assert YieldFigures.read(stored[round_.id, EvidenceKind.YIELD].figures).by_people


def test_where_a_critic_judges_the_closing_stores_it(session: Session) -> None:
    settings = LoopSettings(judging=JudgingSettings(judges="exact"))
    round_ = make_round(session, make_project(session), settings=settings)
    close_now(session, round_)
    stored = list_evidence(session, [round_.id], [EvidenceKind.YIELD])
    assert not YieldFigures.read(stored[round_.id, EvidenceKind.YIELD].figures).by_people
