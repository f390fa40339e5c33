"""What is stored with a round once it is decided."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.lifecycle import Decision, RoundStatus
from app.models import Candidate, Judgement, Round, RoundCandidate
from app.queries.projects.overview import count_project, find_effort
from app.services.rounds.figures import collect_figures
from tests.support.factories import (
    make_item,
    make_project,
    make_round,
    make_round_item,
    make_user,
)
from tests.support.judging import make_judged_items, make_people, open_item, submit


def test_the_time_of_people_grows_while_they_judge_and_is_kept_with_a_decided_round(
    session: Session,
) -> None:
    project = make_project(session)
    round_ = make_round(session, project, status=RoundStatus.JUDGING)
    make_judged_items(session, round_, make_people(session, 2), n_items=3)
    before = find_effort(session, round_).counted_ms
    for judgement in session.scalars(select(Judgement)):
        judgement.active_ms += 1000
    session.flush()  # the sum is one of the database
    assert find_effort(session, round_).counted_ms == before + 6000
    assert count_project(session, project.id).effort == find_effort(session, round_)

    round_.figures = collect_figures(session, round_).dump()
    for judgement in session.scalars(select(Judgement)):
        judgement.active_ms += 1000
    session.flush()  # as above
    assert find_effort(session, round_).counted_ms == before + 6000
    assert count_project(session, project.id).effort == find_effort(session, round_)


def test_draws_of_what_was_judged_before_count_among_those_that_fit(session: Session) -> None:
    project = make_project(session)
    item = make_item(session, project)
    first = make_round(session, project, number=1)
    make_round_item(session, first, item, texts=("it is red", "it is blue"))
    fits, does_not = _candidates(session, "it is red", "it is blue")
    submit(session, open_item(session, first, make_user(session)), picked=[fits.id])
    assert _draws_that_fit(session, first) == (1, 2)

    first.status, first.decision = RoundStatus.COMPLETED, Decision.CONTINUE
    second = make_round(session, project, number=2)
    make_round_item(session, second, item, texts=("the ball is red", "nobody saw this"))
    new, unseen = _candidates(session, "the ball is red", "nobody saw this")
    for candidate, n_draws in ((fits, 6), (does_not, 2)):
        _draw_again(session, second, candidate, n_draws)
    session.execute(
        update(RoundCandidate)
        .where(RoundCandidate.candidate_id == unseen.id)
        .values(is_shown=False, chosen_by="not_shown")
    )
    submit(session, open_item(session, second, make_user(session)), picked=[new.id])
    assert _draws_that_fit(session, second) == (6 + 1, 6 + 2 + 1), "of the last one nobody knows"
    assert _draws_that_fit(session, first) == (1, 2), "what comes later changes nothing"


def _candidates(session: Session, *texts: str) -> list[Candidate]:
    return [
        session.scalars(select(Candidate).where(Candidate.text == text)).one() for text in texts
    ]


def _draw_again(session: Session, round_: Round, candidate: Candidate, n_draws: int) -> None:
    session.add(
        RoundCandidate(
            round_id=round_.id,
            candidate_id=candidate.id,
            item_id=candidate.item_id,
            is_shown=False,
            rank=10 + n_draws,
            n_draws=n_draws,
            chosen_by="not_shown",
        )
    )
    session.flush()


def _draws_that_fit(session: Session, round_: Round) -> tuple[int, int]:
    figures = collect_figures(session, round_)
    assert figures.fitting_share == figures.n_draws_fitting / figures.n_draws_judged
    return figures.n_draws_fitting, figures.n_judged
