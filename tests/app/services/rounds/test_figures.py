"""What is stored with a round once it is decided."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.lifecycle import RoundStatus
from app.models import Judgement
from app.queries.projects.overview import count_project, find_effort
from app.services.rounds.figures import collect_figures
from tests.support.factories import make_project, make_round
from tests.support.judging import make_judged_items, make_people


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
