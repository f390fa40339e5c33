"""Try-outs: what may be asked, what is kept of it, and that nothing else ever sees it."""

import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from PIL import Image as PillowImage
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.kit.errors import Conflict, InvalidInput, LostRun
from app.lifecycle import Job, RoundStatus, RunStatus, Split
from app.models import Event, Project, Round, Run, TriedPicture
from app.queries.projects.removal import delete_project
from app.queries.runs.runs import claim_run
from app.services.dataset.formats.images import ParsedImage
from app.services.projects import removal
from app.services.projects.guidelines_pictures import verify_picture
from app.services.rounds import tryouts
from app.services.rounds.tryouts import KEPT, MOST_KEPT, MOST_LIVE, Tried, Wish
from app.services.runs import runs
from tests.support.factories import make_item, make_project, make_round
from tests.support.rounds.trained import make_trained_round

WISH = Wish(question="what is it?", opener=", since", sides=(0, 1))


@pytest.fixture
def project(session: Session) -> Project:
    project = make_project(session)
    make_trained_round(session, project, number=1)
    return project


def picture(color: str = "red") -> ParsedImage:
    stream = io.BytesIO()
    exif = PillowImage.Exif()
    exif[0x010E] = "what nobody needs to know"
    PillowImage.new("RGB", (64, 48), color).save(stream, "JPEG", exif=exif)
    return verify_picture(stream.getvalue(), "own.jpg")


def ask(session: Session, project: Project, wish: Wish = WISH, **more: Any) -> Run:
    given = more or {"picture": picture()}
    return tryouts.request_tryout(session, project, wish, actor=None, **given)


def claim(session: Session, run: Run) -> int:
    attempt = claim_run(session, run.id, worker_id=None, stale_after=timedelta(minutes=1))
    assert attempt is not None
    session.refresh(run)
    return attempt


def end(session: Session, run: Run) -> None:
    attempt = claim(session, run)
    tryouts.store_tried(session, run.id, attempt=attempt, tried=[Tried(), Tried()])
    session.flush()


def test_it_is_a_run_beside_the_rounds_that_leaves_no_trace(
    session: Session, project: Project
) -> None:
    run = ask(session, project)
    end(session, run)
    session.refresh(run)
    assert (run.job, run.round_id, run.status) == (Job.TRY, None, RunStatus.SUCCEEDED)
    assert session.scalars(select(Event.tag).where(Event.tag.like("run:%"))).all() == []


def test_a_picture_is_kept_without_what_else_its_file_holds(
    session: Session, project: Project
) -> None:
    run = ask(session, project)
    kept = session.get_one(TriedPicture, run.id)
    assert kept.media_type == "image/jpeg"
    assert b"nobody needs" in picture().read()
    assert b"nobody needs" not in kept.content


def test_the_same_asked_twice_is_one_run(session: Session, project: Project) -> None:
    first = ask(session, project)
    assert ask(session, project).id == first.id
    end(session, first)
    assert ask(session, project).id == first.id
    assert ask(session, project, replace(WISH, seed=1)).id != first.id
    assert ask(session, project, picture=picture("blue")).id != first.id
    # What failed is asked anew.
    session.execute(
        update(Run)
        .where(Run.id == first.id)
        .values(status=RunStatus.FAILED, error="no memory", finished_at=func.now())
    )
    assert ask(session, project).id != first.id


def test_a_held_out_item_may_be_asked_about(session: Session, project: Project) -> None:
    item = make_item(session, project, split=Split.TEST)
    run = ask(session, project, Wish(opener=", since", sides=(1, 0)), item=item)
    assert run.parameters["question"] == item.question
    assert run.parameters["answer"] == item.answer
    assert session.get(TriedPicture, run.id) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"question": " "}, "Write a question"),
        ({"question": "x" * 2001}, "at most 2000 characters"),
        ({"explains": True}, "Write the answer that is to be explained"),
        ({"opener": " "}, "The opener has 1 to 200"),
        ({"temperature": 0.0}, "The temperature is above 0"),
        ({"temperature": float("nan")}, "The temperature is above 0"),
        ({"temperature": 5.1}, "The temperature is above 0"),
        ({"seed": -1}, "The seed is a whole number"),
        ({"sides": (1, 1)}, "Choose two different models"),
        ({"sides": (0, 7)}, "Choose rounds that have trained an adapter"),
    ],
)
def test_what_cannot_be_tried_is_told(
    session: Session, project: Project, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        ask(session, project, replace(WISH, **changes))


def test_without_a_picture_or_an_adapter_there_is_nothing_to_try(
    session: Session, project: Project
) -> None:
    with pytest.raises(InvalidInput, match="Name an item of the project, or choose a picture"):
        tryouts.request_tryout(session, project, WISH, actor=None)
    untrained = make_project(session)
    make_round(session, untrained, status=RoundStatus.JUDGING)
    with pytest.raises(InvalidInput, match="No round of this project has trained an adapter"):
        ask(session, untrained)


def test_only_so_many_wait_at_once(session: Session, project: Project) -> None:
    live = [ask(session, project, replace(WISH, seed=seed)) for seed in range(MOST_LIVE)]
    with pytest.raises(Conflict, match="5 try-outs of this project wait already"):
        ask(session, project, replace(WISH, seed=99))
    runs.cancel_run(session, live[0], actor=None)
    ask(session, project, replace(WISH, seed=99))


def test_an_archived_project_is_not_tried(session: Session, project: Project) -> None:
    round_ = session.scalars(select(Round).where(Round.project_id == project.id)).one()
    assert round_.status is RoundStatus.CANCELLED
    removal.archive_project(session, project, actor=None)
    with pytest.raises(Conflict, match="archived"):
        ask(session, project)


def test_it_is_removed_on_request_once_it_is_over(session: Session, project: Project) -> None:
    run = ask(session, project)
    run_id = run.id
    with pytest.raises(Conflict, match="cancel it first"):
        tryouts.remove_tryout(session, run)
    attempt = claim(session, run)
    runs.cancel_run(session, run, actor=None)
    tryouts.remove_tryout(session, run)
    session.expire_all()
    assert session.get(Run, run_id) is None
    assert session.get(TriedPicture, run_id) is None
    # A worker that was still at it writes nothing.
    with pytest.raises(LostRun):
        tryouts.store_tried(session, run_id, attempt=attempt, tried=[])


def test_old_ones_go_by_themselves(session: Session, project: Project) -> None:
    old, new, live = (ask(session, project, replace(WISH, seed=seed)) for seed in range(3))
    end(session, old)
    end(session, new)
    long_ago = func.now() - KEPT - timedelta(minutes=1)
    session.execute(update(Run).where(Run.id == old.id).values(finished_at=long_ago))
    session.execute(update(Run).where(Run.id == live.id).values(created_at=long_ago))
    tryouts.forget_old_tryouts(session)
    left = session.scalars(select(Run.id).where(Run.job == Job.TRY).order_by(Run.id)).all()
    assert left == [new.id, live.id]


def test_no_more_than_so_many_are_kept(session: Session, project: Project) -> None:
    first = ask(session, project)
    end(session, first)
    session.execute(
        Run.__table__.insert(),
        [
            {
                "project_id": project.id,
                "job": Job.TRY,
                "status": RunStatus.CANCELLED,
                "parameters": first.parameters | {"seed": 1000 + number},
                "finished_at": first.created_at,
            }
            for number in range(MOST_KEPT)
        ],
    )
    newest = ask(session, project, replace(WISH, seed=5))
    kept = session.scalars(select(Run.id).where(Run.job == Job.TRY)).all()
    assert len(kept) == MOST_KEPT
    assert newest.id in kept
    assert first.id not in kept


def test_a_try_out_goes_with_its_project(session: Session, project: Project) -> None:
    run = ask(session, project)
    run_id = run.id
    runs.cancel_run(session, run, actor=None)
    delete_project(session, project.id)
    session.expire_all()
    assert session.get(TriedPicture, run_id) is None
