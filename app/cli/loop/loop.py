"""The whole loop without people: a critic judges, the rounds go on by themselves."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.console import console, emphasised, get_project, running_services
from app.kit.errors import AppError, Conflict, SetupError
from app.kit.processes.children import is_alive, start_process, stop_process
from app.kit.processes.programs import require_worker_packages
from app.kit.settings import environment_for_children, get_settings
from app.round_settings import LoopSettings, find_field
from app.round_settings.changing import read_changes, with_changes
from app.round_settings.mix import read_mix

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.models import Project, Score
    from app.supervisor.commands import Command


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Loop")(loop)


def loop(
    project: Annotated[str, typer.Argument(help="The project's short name.")],
    critic: Annotated[str, typer.Option(help="Who judges: exact, rouge:0.5 …")] = "exact",
    n_rounds: Annotated[int, typer.Option("--rounds", help="At most so many rounds.", min=1)] = 3,
    strategies: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy",
            help=f"{find_field(LoopSettings, 'strategy').help} Repeatable: several take part in "
            "each round, with equal shares or as in `direct:2`.",
        ),
    ] = None,
    control: Annotated[
        str,
        typer.Option(
            help="none; permuted: verdicts shuffled between candidates, must not improve; "
            "gold: train on all gold rationales, the upper line."
        ),
    ] = "none",
    seed: Annotated[int | None, typer.Option(help=find_field(LoopSettings, "seed").help)] = None,
    dtype: Annotated[str | None, typer.Option(help=find_field(LoopSettings, "dtype").help)] = None,
    n_workers: Annotated[int, typer.Option("--workers", help="Model workers.", min=1)] = 1,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Another setting than the project's, by its name in docs/settings.md; repeatable.",
        ),
    ] = None,
    stop_early: Annotated[
        bool, typer.Option(help="Stop by the rule (covered, no progress), not only at the limit.")
    ] = True,
    is_demo: Annotated[
        bool, typer.Option("--demo", help="Make the project from rendered scenes if absent.")
    ] = False,
    n_scenes: Annotated[
        int,
        typer.Option(
            "--scenes",
            help="With --demo: scenes to train on; half as many validate, one and a half times as "
            "many test.",
            min=20,
        ),
    ] = 400,
    n_pictures: Annotated[
        int,
        typer.Option(
            "--pictures",
            help="With --demo: further scenes that come without any question, for the strategy "
            "self_questioning to ask about. Of a folder of your own: illume import PROJECT FOLDER.",
            min=0,
        ),
    ] = 0,
    n_episodes: Annotated[
        int | None,
        typer.Option(
            "--prior",
            help="With the strategy monologue: episodes made of the project's scenes, where it has "
            "no prior (default: one per train item; 0: none). They are learned before round one.",
            min=0,
        ),
    ] = None,
    useless_share: Annotated[
        float,
        typer.Option(
            "--useless", help="Of these, the share whose questions do not help.", min=0, max=1
        ),
    ] = 0.25,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures to this file.")
    ] = None,
) -> None:
    """Run rounds without people and print what each brought.

    Example: illume loop scenes --demo --critic exact --rounds 3 --json figures.json
    Example: illume loop scenes --set training.learning_rate=0.002 --set training.rank=16

    Example: illume loop scenes --demo --strategy direct --strategy monologue

    With the strategy monologue, a project with a prior begins with a round that trains on it alone.
    A loop that was broken off goes on where it was when it is started again, with its own settings.
    """
    from app.cli.demo import demo
    from app.cli.loop.needs import tell_needs
    from app.cli.loop.prior import begin_with_prior
    from app.cli.loop.table import print_table
    from app.cli.loop.watch import watch
    from app.critics import get_critic
    from app.kit.db import session_scope
    from app.queries.projects.projects import find_project

    if control not in {"none", "permuted", "gold"}:
        raise AppError(f"Unknown control `{control}`: use none, permuted or gold.")
    # Wrong names are told before anything starts.
    get_critic(critic)
    values = read_changes(changes or ())
    # Before the others are looked at, some of which go with a strategy alone.
    values |= read_strategies(strategies or ())
    started = time.monotonic()
    with running_services():
        if "gpu" not in _live_queues():
            require_worker_packages("The loop")
            _require_device(get_settings().device)
        with session_scope() as session:
            if is_demo and find_project(session, project) is None:
                console.print("Rendering the scenes of", emphasised(project), "…")
                sizes = demo.Sizes(n_scenes, n_scenes // 2, n_scenes * 3 // 2, n_pictures)
                demo.create_demo_project(session, name=project, seed=seed or 0, sizes=sizes)
        with session_scope() as session:
            owner = get_project(session, project)
            settings = loop_settings(
                with_changes(LoopSettings.model_validate(owner.settings), values),
                critic=critic,
                n_rounds=_last_number(session, owner) + n_rounds,
                control=control,
                seed=seed,
                dtype=dtype,
                stop_early=stop_early,
            )
            going_on = _broken_off(session, owner)
            if going_on is None:
                settings = begin_with_prior(
                    session,
                    owner,
                    settings,
                    n_episodes=n_episodes,
                    useless_share=useless_share,
                )
                for told in tell_needs(session, owner, settings):
                    console.print(told, highlight=False, soft_wrap=True)
                first_number = _start(session, owner, settings)
            else:
                settings, first_number = going_on
                critic, control = settings.judging.judges, _control_of(settings)
                console.print(f"Going on with the loop that began with round {first_number}.")
            project_id = owner.id
        with _workers(n_workers):
            watch(project_id)
        seconds = time.monotonic() - started
        with session_scope() as session:
            figures = collect(session, project_id, first_number, settings)
    figures |= {"project": project, "critic": critic, "control": control, "seed": settings.seed}
    figures["seconds"] = round(seconds, 1)
    print_table(figures)
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        console.print(f"Wrote {json_file}.", highlight=False)


def _start(session: "Session", project: "Project", settings: LoopSettings) -> int:
    """Starts the first round of the loop and returns its number."""
    from app.services.rounds import rounds
    from app.services.rounds.starting import start_round

    first = rounds.create_round(session, project, settings=settings, actor=None)
    start_round(session, first, actor=None)
    on_prior = ", on the prior" if settings.training.source == "prior" else ""
    console.print(f"Started round {first.number} of {project.slug}{on_prior}.", highlight=False)
    return first.number


def loop_settings(
    settings: LoopSettings,
    *,
    critic: str,
    n_rounds: int,
    control: str,
    seed: int | None,
    dtype: str | None,
    stop_early: bool,
) -> LoopSettings:
    """Returns the project's settings, judged by a critic and going on by themselves."""
    changed = settings.model_dump()
    changed["auto_advance"] = changed["auto_continue"] = True
    changed["judging"] |= {
        "judges": critic,
        "overlap": 1,
        "control": "permuted" if control == "permuted" else "none",
    }
    changed["admission"] |= {"policy": "majority"}
    changed["training"] |= (
        {"source": "gold", "written": False} if control == "gold" else {"source": "admitted"}
    )
    changed["evaluation"] |= {"critic": critic}
    changed["stop"] |= {"round_limit": n_rounds}
    if not stop_early:
        changed["stop"] |= {"patience": 100, "accuracy_floor": 0.0, "enough_covered": 1.0}
    if seed is not None:
        changed["seed"] = seed
    if dtype is not None:
        changed["dtype"] = dtype
    return LoopSettings.model_validate(changed)


def read_strategies(given: Sequence[str]) -> dict[str, Any]:
    """Returns what settings become of the strategies of a command line: one alone, or several with
    their shares. Raises AppError for an unknown one and for an odd share."""
    from app.strategies import get_strategy

    wanted = [part.strip() for text in given for part in text.split(",") if part.strip()]
    if not wanted:
        return {}
    if len(wanted) == 1 and ":" not in wanted[0]:
        return {"strategy": get_strategy(wanted[0]).name, "strategies": []}
    try:
        return {"strategies": list(read_mix(wanted))}
    except ValueError as error:
        raise AppError(str(error)) from error


def _control_of(settings: LoopSettings) -> str:
    """Returns the value of `--control` that leads to these settings."""
    if settings.training.source == "gold":
        return "gold"
    return settings.judging.control


def _broken_off(session: "Session", project: "Project") -> tuple[LoopSettings, int] | None:
    """Settings and first round of the loop whose round is still open. Raises Conflict if the open
    round is none that a critic judges and that goes on by itself."""
    from app.cli.loop.prior import is_same_loop
    from app.queries.rounds import rounds as queries

    open_round = queries.find_open_round(session, project.id)
    if open_round is None:
        return None
    settings = LoopSettings.model_validate(open_round.settings)
    goes_on = settings.auto_advance and settings.auto_continue
    if settings.judging.judges.are_people or not goes_on:
        raise Conflict(
            f"Project {project.slug} has an open round. Complete it, or: "
            f"illume round cancel {project.slug}"
        )
    first_number = open_round.number
    for round_ in reversed(queries.list_rounds(session, project.id)):
        if not is_same_loop(round_.settings, open_round.settings):
            break
        first_number = round_.number
    return settings, first_number


def collect(
    session: "Session", project_id: int, first_number: int, settings: LoopSettings
) -> dict[str, Any]:
    """Returns the figures of the rounds since `first_number`, and of the base model before them."""
    from app.queries.rounds import rounds as queries
    from app.queries.runs.runs import find_evaluation

    baseline = queries.find_baseline_run(session, project_id, settings)
    entries: list[dict[str, Any]] = []
    if baseline is not None:
        scores = _scores(queries.list_scores(session, baseline.id))
        entries.append({"round": 0, "scores": scores})
    for round_ in queries.list_rounds(session, project_id):
        if round_.number < first_number:
            continue
        own = LoopSettings.model_validate(round_.settings)
        measured = {
            name: _scores(queries.list_scores(session, run.id))
            for name in own.shares
            if (run := find_evaluation(session, round_.id, name)) is not None
        }
        entries.append(
            {
                "round": round_.number,
                "source": own.training.source,
                "status": round_.status.value,
                "decision": round_.decision.value if round_.decision else None,
                "reason": round_.decision_reason,
                "figures": round_.figures,
                "scores": measured.get(own.strategy, {}),
                **({"strategies": measured} if own.is_mixed else {}),
            }
        )
    return {"rounds": entries}


def _scores(scores: Any) -> dict[str, dict[str, Any]]:
    by_split: dict[str, dict[str, Any]] = {}
    entry: Score
    for entry in scores:
        by_split.setdefault(entry.split.value, {})[entry.name] = {
            "value": entry.value,
            "n": entry.n,
            "low": entry.low,
            "high": entry.high,
        }
    return by_split


def _last_number(session: "Session", project: "Project") -> int:
    from app.queries.rounds import rounds as queries

    last = queries.find_last_round(session, project.id)
    return last.number if last else 0


# --- Workers of our own, where none run -----------------------------------------------------


def _require_device(device: str) -> None:
    """Raises SetupError where a device was asked for that is not there."""
    if device in ("auto", "cpu"):
        return
    asked = subprocess.run(
        [sys.executable, "-m", "worker.host.device", device],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode != 0:
        raise SetupError(asked.stderr.strip().removeprefix("illume: "))


def _live_queues() -> set[str]:
    """Returns the queues that somebody works on; of this machine only processes that are there."""
    from app.kit.db import session_scope
    from app.queries.rounds import rounds as queries
    from app.services.runs import runs

    with session_scope() as session:
        # Those of a loop that has just ended would still count as heard of.
        runs.release_dead_workers(session, is_alive)
        return {queue for worker in queries.list_live_workers(session) for queue in worker.queues}


@contextmanager
def _workers(n_workers: int) -> Iterator[None]:
    """Model workers, a light worker and beat, unless live ones are there already."""
    from app.supervisor.commands import beat_command, worker_command

    live = _live_queues()
    commands: list[Command] = []
    if "gpu" not in live:
        commands += [worker_command(["gpu"]) for _ in range(n_workers)]
    if "cpu" not in live:
        commands += [worker_command(["cpu"]), beat_command(get_settings().illume_home)]
    env = environment_for_children()
    started: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            started.append(start_process(command, env=env))
        yield
    finally:
        for process in started:
            stop_process(process, (signal.SIGTERM, 5.0), (signal.SIGQUIT, 3.0))
