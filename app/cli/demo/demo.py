"""The demo project: rendered scenes, the demo model, and a first round that is ready to judge."""

import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from app.cli.console import console, emphasised
from app.cli.demo.practice import add_demo_practice
from app.cli.demo.prior import add_scene_prior
from app.kit.db import session_scope
from app.kit.settings import get_settings
from app.lifecycle import Role, RoundItemState
from app.models import Project, Round
from app.queries.accounts.users import find_user, has_admins
from app.queries.dataset.items import count_round_items
from app.queries.projects.projects import find_project
from app.queries.rounds.rounds import find_last_round
from app.round_settings import (
    EvaluationSettings,
    LoopSettings,
    MonologueSettings,
    PerceptionSettings,
    SamplingSettings,
    SelfQuestioningSettings,
    TrainingSettings,
)
from app.scenes.dataset import write_demo_dataset, write_demo_pictures
from app.services.accounts import accounts
from app.services.dataset import imports
from app.services.projects import projects
from app.services.rounds import rounds
from app.services.rounds.starting import start_round

SLUG = "demo"
ADMIN = "demo-admin"
ANNOTATOR = "demo-annotator"
WAIT_SECONDS = 180.0

GUIDELINES = """\
Look at the picture, read the question and the answer, then pick **every** rationale that fits.

A rationale fits when both are true:

1. what it says about the picture is **right**, and
2. it is a **reason** for the answer: someone who reads it would come to the same answer.

*How many red cubes are there? 2*

```fits
there are two red cubes and nothing else is red

It names all red things, so the number follows.
```

```misfit
the answer is 2

It only says the answer again.
```

```misfit
there is a big green ball

It may be true, but it says nothing about red cubes.
```

If no rationale fits, press **n**. If the answer itself is wrong, press **w**.
"""


@dataclass(frozen=True)
class Sizes:
    n_train: int = 120
    n_validation: int = 60
    n_test: int = 60
    n_pictures: int = 0
    """Further scenes to train on, about which nothing is asked."""


def demo_settings(seed: int) -> LoopSettings:
    """Returns settings of the loop with which the demo model learns well on a laptop."""
    return LoopSettings(
        base_model="demo",
        seed=seed,
        sampling=SamplingSettings(max_new_tokens=32),
        # Trained on scenes alone, it follows no orders.
        monologue=MonologueSettings(instruct=False),
        self_questioning=SelfQuestioningSettings(ask_untaught=False),
        # It counts and compares all over its nine places, and reads no mean of them.
        perception=PerceptionSettings(alignment="pointed_captions", basic_tokens=9, lora=True),
        training=TrainingSettings(dropout=0.0),
        evaluation=EvaluationSettings(critic="exact"),
    )


def create_demo_project(session: Session, *, name: str, seed: int, sizes: Sizes) -> Project:
    """Creates and returns a project with freshly rendered scenes, imported as anybody's
    data are.
    """
    project = projects.create_project(
        session, name=name, actor=None, guidelines=GUIDELINES, settings=demo_settings(seed)
    )
    with tempfile.TemporaryDirectory(prefix="illume-demo-") as folder:
        items = write_demo_dataset(
            Path(folder) / "items",
            seed=seed,
            n_train=sizes.n_train,
            n_validation=sizes.n_validation,
            n_test=sizes.n_test,
        )
        paths = [items]
        if sizes.n_pictures:
            pictures = Path(folder) / "pictures"
            paths.append(
                write_demo_pictures(pictures, seed=seed, n_pictures=sizes.n_pictures, besides=items)
            )
        for path in paths:
            with closing(imports.read_dataset([path])) as parsed:
                imports.import_dataset(session, project, parsed, update=False, actor=None)
    return project


def prepare() -> None:
    """Make the demo project and start its first round, unless an earlier start did."""
    with session_scope() as session:
        project = find_project(session, SLUG)
        if project is None:
            project = create_demo_project(session, name="Demo", seed=0, sizes=Sizes())
            add_demo_practice(session, project, seed=0)
            add_scene_prior(session, project, seed=0)
        for name, role, is_admin in ((ADMIN, Role.ADMIN, True), (ANNOTATOR, Role.ANNOTATOR, False)):
            _add_member(session, project, name, role, is_admin=is_admin)
        if find_last_round(session, project.id) is None:
            settings = LoopSettings.model_validate(project.settings)
            round_ = rounds.create_round(session, project, settings=settings, actor=None)
            start_round(session, round_, actor=None)


def announce() -> None:
    """Wait for the first items, then print links that sign in at once."""
    with session_scope() as session:
        project = find_project(session, SLUG)
        round_ = find_last_round(session, project.id) if project else None
    if project is None or round_ is None:
        return
    _wait_for_items(round_.id)
    with session_scope() as session:
        judge = _link(session, ANNOTATOR, f"/rounds/{round_.id}/judge")
        manage = _link(session, ADMIN, f"/projects/{project.slug}")
    console.print()
    console.print(emphasised("The demo is ready."), "Each link signs in once, without a password:")
    console.print(f"  judge:  {judge}", highlight=False, soft_wrap=True)
    console.print(f"  manage: {manage}", highlight=False, soft_wrap=True)
    console.print()


def say_how_to_begin() -> None:
    """Tells on a fresh installation how to make the first account."""
    with session_scope() as session:
        is_fresh = not has_admins(session)
    if is_fresh:
        console.print(
            "Nobody can sign in yet. In another terminal:",
            emphasised("illume user add NAME --admin"),
        )


def _add_member(
    session: Session, project: Project, name: str, role: Role, *, is_admin: bool
) -> None:
    user = find_user(session, name)
    if user is None:
        user = accounts.add_user(session, name=name, is_admin=is_admin)
    projects.add_member(session, project, user, role=role, actor=None)


def _wait_for_items(round_id: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        with session_scope() as session:
            round_ = session.get_one(Round, round_id)
            n_open = count_round_items(session, round_id).get(RoundItemState.OPEN, 0)
            if n_open or round_.status.value != "generating":
                return
        time.sleep(0.1)


def _link(session: Session, name: str, next_path: str) -> str:
    user = find_user(session, name)
    assert user is not None  # noqa: S101 - prepare() added it
    return get_settings().base_url + accounts.make_sign_in_link(
        session, user, next_path=next_path, hours=12
    )
