"""What becomes of a run that its worker cannot do."""

from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.lifecycle import Job, RoundStatus, RunStatus
from app.models import Round, Run
from tests.support.rounds_in_process import (
    make_picture_project,
    start_first_round,
    tiny_settings,
    work_until_done,
)


def test_a_run_that_fails_before_it_has_begun_is_over(
    database: sessionmaker[Session], tmp_path: Path
) -> None:
    with database.begin() as session:
        project = make_picture_project(session, tiny_settings(tmp_path), tmp_path)
    round_id = start_first_round(database, project)
    with database.begin() as session:  # as a version that is gone may have stored them
        round_ = session.get_one(Round, round_id)
        round_.settings = {**round_.settings, "strategy": "none that we know"}
    with pytest.raises(Exception, match="strategy"):
        work_until_done(database)

    with database() as session:
        run = session.scalars(select(Run).where(Run.job == Job.GENERATE)).one()
        assert run.status is RunStatus.FAILED
        assert "strategy" in (run.error or "")
        assert session.get_one(Round, round_id).status is RoundStatus.GENERATING
