"""How `illume loop --strategy monologue` begins."""

from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from app.cli.demo.demo import Sizes, create_demo_project
from app.cli.loop.prior import begin_with_prior, is_same_loop
from app.cli.loop.table import print_table
from app.kit.errors import AppError
from app.lifecycle import Decision, Job, RoundStatus, RunStatus
from app.models import Adapter, Project, RoundModel
from app.queries.dataset.prior import count_prior
from app.round_settings import LoopSettings, StopSettings, TrainingSettings
from app.run_results import EpisodeTally, RoundFigures
from tests.support.dataset_files import own_store
from tests.support.factories import make_item, make_project, make_round, make_run

SETTINGS = LoopSettings(strategy="monologue", stop=StopSettings(round_limit=3))


@pytest.fixture
def project(session: Session, tmp_path: Path) -> Project:
    with own_store(tmp_path):
        return create_demo_project(session, name="Demo", seed=0, sizes=Sizes(20, 2, 2))


def begin(
    session: Session,
    project: Project,
    settings: LoopSettings = SETTINGS,
    n_episodes: int | None = None,
) -> LoopSettings:
    return begin_with_prior(session, project, settings, n_episodes=n_episodes, useless_share=0.25)


def test_a_project_of_scenes_gets_a_prior_and_a_round_on_it_before_the_others(
    session: Session, project: Project
) -> None:
    settings = begin(session, project)
    assert (settings.training.source, settings.stop.round_limit) == ("prior", 4)
    assert count_prior(session, project.id).n_episodes == 20
    first, second = (one.model_dump(mode="json") for one in (settings, SETTINGS))
    second["stop"]["round_limit"] = 4
    assert is_same_loop(first, second)
    assert not is_same_loop(first, LoopSettings().model_dump(mode="json"))


def test_a_prior_that_is_there_is_taken_as_it_is(session: Session, project: Project) -> None:
    begin(session, project, n_episodes=5)
    assert begin(session, project).training.source == "prior"
    assert count_prior(session, project.id).n_episodes == 5


def test_without_episodes_or_with_another_strategy_or_source_the_loop_begins_as_ever(
    session: Session, project: Project
) -> None:
    for settings, n_episodes in (
        (SETTINGS, 0),
        (LoopSettings(), None),
        (SETTINGS.model_copy(update={"training": TrainingSettings(source="gold")}), None),
    ):
        assert begin(session, project, settings, n_episodes) == settings
    assert count_prior(session, project.id).n_episodes == 0


def test_who_has_learned_already_goes_on_without_a_round_on_the_prior(
    session: Session, project: Project
) -> None:
    round_ = make_round(session, project, status=RoundStatus.CANCELLED, settings=SETTINGS)
    round_.status, round_.decision = RoundStatus.COMPLETED, Decision.CONTINUE
    run = make_run(session, project, Job.TRAIN, round_=round_, status=RunStatus.RUNNING)
    adapter = Adapter(
        project_id=project.id,
        run_id=run.id,
        run_attempt=0,
        base_model=SETTINGS.base_model,
        base_revision="r",
        digest="a" * 64,
    )
    session.add(adapter)
    session.flush()
    session.add(
        RoundModel(
            round_id=round_.id,
            strategy="monologue",
            role="reasoner",
            new_adapter_id=adapter.id,
        )
    )
    session.flush()
    assert begin(session, project) == SETTINGS


def test_a_project_without_scenes_begins_as_ever_unless_a_prior_is_asked_of_it(
    session: Session,
) -> None:
    project = make_project(session)
    make_item(session, project)
    assert begin(session, project) == SETTINGS
    with pytest.raises(AppError, match=r"is not about rendered scenes.*illume prior import"):
        begin(session, project, n_episodes=10)


def test_the_table_says_which_round_was_on_the_prior_and_how_monologues_ended(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tally = EpisodeTally(explained=6, wrong_answer=3, not_understood=1, turns=15, repeated=3)
    judged = tally.model_copy(
        update={"critic_asked": 15, "critic_useful": 3, "critic_observed": 12, "critic_true": 9}
    )
    rounds = [
        {"round": 1, "source": "prior", "scores": {}, "figures": {}},
        {"round": 2, "source": "admitted", "scores": {},
         "figures": RoundFigures(episodes=tally).dump()},
        {"round": 3, "source": "admitted", "scores": {},
         "figures": RoundFigures(episodes=judged).dump()},
    ]  # fmt: skip
    head = {"project": "scenes", "critic": "exact", "control": "none", "seed": 0, "seconds": 1.0}
    print_table({**head, "rounds": rounds})
    out = capsys.readouterr().out
    assert "1 (prior)" in out
    ended = (
        "Monologues: 6 of 10 came to a rationale; 3 answered wrongly, 1 could not be "
        "understood, 0 asked too often; 1.5 looks each, 20% of the questions repeated"
    )
    assert (
        f"Round 2: {ended} Round 3: {ended}; exact critic: 20% of 15 questions useful, "
        "75% of 12 observations true"
    ) in " ".join(out.split())
