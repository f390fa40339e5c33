"""Drive rounds without Celery: call `execute` for every live run until none is left."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from PIL import Image as PillowImage
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.storage import put_image
from app.lifecycle import LIVE_RUN, Job, Split
from app.models import Image, Project, Round, Run
from app.queries.runs.runs import claim_run
from app.round_settings import LoopSettings
from app.services.judging.ending import end_judging
from app.services.rounds import rounds
from app.services.rounds.closing import close_round
from app.services.rounds.starting import start_round
from tests.support.factories import make_item, make_project
from worker.host.execute import execute
from worker.host.heart import Heart

COLORS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 200)}


def tiny_settings(model: Path, **changes: object) -> LoopSettings:
    """A loop that a random tiny model gets through in seconds, judged by a lenient critic."""
    settings = {
        "base_model": str(model),
        "sampling": {
            "temperatures": [0.3, 0.9],
            "n_samples": 2,
            "max_new_tokens": 6,
            "items_per_shard": 2,
            "top_k_share": 1.0,
        },
        "judging": {"judges": "rouge:0.01", "max_shown": 4},
        "training": {"epochs": 1, "batch_size": 4, "rank": 2, "alpha": 4},
        "evaluation": {"critic": "rouge:0.01", "meteor": False},
        "stop": {"accuracy_floor": 0.0, "round_limit": 1},
    }
    return LoopSettings.model_validate(settings | changes)


def make_picture_project(
    session: Session,
    settings: LoopSettings,
    tmp_path: Path,
    *,
    n_train: int = 6,
    colors: Mapping[str, tuple[int, int, int]] = COLORS,
) -> Project:
    """Items on real images in the store: one colour each, in all three splits."""
    project = make_project(session, settings=settings)
    splits = [Split.TRAIN] * n_train + [Split.VALIDATION] * 3 + [Split.TEST] * 3
    for number, split in enumerate(splits):
        name, color = list(colors.items())[number % len(colors)]
        path = tmp_path / f"{number}.png"
        PillowImage.new("RGB", (56 + number, 56), color).save(path)
        digest, _ = put_image(path.read_bytes(), "image/png")
        image = session.get(Image, digest)
        if image is None:
            image = Image(
                sha256=digest,
                media_type="image/png",
                width=56 + number,
                height=56,
                n_bytes=path.stat().st_size,
            )
            session.add(image)
            session.flush()
        make_item(
            session,
            project,
            image=image,
            split=split,
            external_id=f"picture-{number}",
            question="what color is it?",
            answer=name,
            gold_rationales=[f"the picture is {name}", f"it is all {name}"],
        )
    return project


def start_first_round(database: sessionmaker[Session], project: Project) -> int:
    with database.begin() as session:
        settings = LoopSettings.model_validate(project.settings)
        round_ = rounds.create_round(session, project, settings=settings, actor=None)
        start_round(session, round_, actor=None)
        return round_.id


def close_now(session: Session, round_: Round) -> Run:
    """End judging and close the round as a worker would; returns the run that did it."""
    run = end_judging(session, round_, actor=None)
    attempt = claim_run(session, run.id, worker_id=None, stale_after=timedelta(minutes=1))
    assert attempt is not None
    close_round(session, run.id, attempt=attempt)
    session.flush()
    return run


def work_until_done(database: sessionmaker[Session], *, limit: int = 50) -> None:
    """One worker that does whatever is live, oldest first."""
    work_until(database, None, limit=limit)


def work_until(database: sessionmaker[Session], job: Job | None, *, limit: int = 50) -> None:
    """As work_until_done, but stops when a run of this job is next."""
    heart = Heart(["cpu", "gpu"], "cpu")
    heart.beat()
    for _ in range(limit):
        with database() as session:
            run = session.scalars(
                select(Run).where(Run.status.in_(LIVE_RUN)).order_by(Run.id).limit(1)
            ).one_or_none()
        if run is None or run.job is job:
            return
        execute(run.id, heart)
    raise AssertionError("the round did not come to an end")
