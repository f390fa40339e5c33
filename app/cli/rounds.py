"""The loop by hand."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.console import console, emphasised, get_project, print_json, running_services
from app.kit.errors import Conflict
from app.round_settings import LoopSettings
from app.run_results import EpisodeTally, MapTally, QuestionTally, RewardedFigures

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.models import Round

round_app = typer.Typer(help="Rounds of a project.", no_args_is_help=True)

ProjectName = Annotated[str, typer.Argument(help="The project's short name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(app: typer.Typer) -> None:
    app.add_typer(round_app, name="round", rich_help_panel="Loop")


@round_app.command("start")
def start(project: ProjectName) -> None:
    """Start the next round with the project's settings.

    Example: illume round start scenes
    """
    from app.kit.db import session_scope
    from app.queries.rounds.rounds import list_live_workers
    from app.services.rounds import rounds
    from app.services.rounds.starting import find_unjudged, start_round

    with running_services(), session_scope() as session:
        owner = get_project(session, project)
        settings = LoopSettings.model_validate(owner.settings)
        if unjudged := find_unjudged(session, owner.id, settings):
            console.print(unjudged, highlight=False, soft_wrap=True)
        round_ = rounds.create_round(session, owner, settings=settings, actor=None)
        start_round(session, round_, actor=None)
        has_worker = any("gpu" in worker.queues for worker in list_live_workers(session))
        console.print(f"Started round {round_.number} of {project}.")
    if not has_worker:
        console.print(
            "No model worker is running, so nothing is sampled yet. Start one:",
            emphasised("illume worker --queues gpu"),
        )


@round_app.command("status")
def status(project: ProjectName, as_json: AsJson = False) -> None:
    """Show what the newest round is doing.

    Example: illume round status scenes --json
    """
    from rich.table import Table

    from app.kit.db import session_scope
    from app.queries.rounds.rounds import find_last_round

    with running_services(), session_scope() as session:
        owner = get_project(session, project)
        round_ = find_last_round(session, owner.id)
        if round_ is None:
            raise Conflict(f"Project {project} has no round yet: illume round start {project}")
        data = describe(session, round_)
    if as_json:
        print_json(data)
        return
    console.print(f"Round {data['round']} of {project}:", emphasised(data["status"]))
    if data["decision"]:
        console.print(f"Decision: {data['decision']}. {data['reason']}", highlight=False)
    items = ", ".join(f"{count} {state}" for state, count in data["items"].items() if count)
    console.print(f"Items: {items or 'none'}; judgements: {data['n_submitted']}", highlight=False)
    if data["draws"]["cut"]:
        console.print(
            f"Cut at the limit of tokens: {data['draws']['cut']} of {data['draws']['all']} draws",
            highlight=False,
        )
    if episodes := data.get("episodes"):
        console.print(describe_episodes(EpisodeTally.read(episodes)), highlight=False)
    if maps := data.get("maps"):
        console.print(describe_maps(MapTally.read(maps)), highlight=False)
    if rewarded := (data["figures"] or {}).get("rewarded"):
        console.print(describe_rewarded(RewardedFigures.read(rewarded)), highlight=False)
    table = Table("job", "status", "shards", "written", "attempt", "worker", "error")
    for run in data["runs"]:
        table.add_row(*(str(run[name] or "") for name in run))
    console.print(table)


@round_app.command("close")
def close(project: ProjectName) -> None:
    """End judging: a light worker admits rationales by the round's policy and requests training.

    Example: illume round close scenes
    """
    from app.kit.db import session_scope
    from app.queries.rounds.rounds import list_live_workers
    from app.services.admission.preview import preview_counted
    from app.services.judging.ending import end_judging
    from app.services.rounds import rounds

    with running_services(), session_scope() as session:
        round_ = _open_round(session, project)
        end_judging(session, round_, actor=None)
        policy = rounds.settings_of(round_).admission
        preview = preview_counted(session, round_, policy)
        has_worker = any("cpu" in worker.queues for worker in list_live_workers(session))
    admitted = (
        f"{preview.n_rationales} rationales of {preview.n_items} items are admitted."
        if preview
        else f"people are weighed, then it is known what is admitted ({policy.name})."
    )
    console.print(f"Round {round_.number} closes: {admitted}")
    if not has_worker:
        console.print("No light worker is alive: illume worker --queues cpu")


@round_app.command("retry")
def retry(
    project: ProjectName,
    changed_base: Annotated[
        bool,
        typer.Option(
            "--changed-base",
            help="Go on with base model files that changed: without the adapters trained so far.",
        ),
    ] = False,
) -> None:
    """Run the failed job of the open round again; finished parts are kept.

    Example: illume round retry scenes
    """
    from app.kit.db import session_scope
    from app.services.rounds import bases, rounds

    with running_services(), session_scope() as session:
        again = bases.go_on_with_changed_base if changed_base else rounds.retry_round
        run = again(session, _open_round(session, project), actor=None)
        console.print(f"Queued a new {run.job} run.")


@round_app.command("cancel")
def cancel(project: ProjectName) -> None:
    """Cancel the open round and its runs. Samples and judgements stay on record.

    Example: illume round cancel scenes
    """
    from app.kit.db import session_scope
    from app.services.rounds import rounds

    with running_services(), session_scope() as session:
        round_ = _open_round(session, project)
        rounds.cancel_round(session, round_, actor=None)
        console.print(f"Cancelled round {round_.number}.")


def describe_episodes(episodes: EpisodeTally) -> str:
    """Returns how the monologues of a round went, as a line."""
    turns, repeated = episodes.turns_per_episode or 0.0, episodes.repeated_share or 0.0
    return (
        f"Monologues: {episodes.explained} of {episodes.n_episodes} came to a rationale; "
        f"{episodes.wrong_answer} answered wrongly, {episodes.not_understood} could not be "
        f"understood, {episodes.asked_too_often} asked too often; {turns:.1f} looks each, "
        f"{repeated:.0%} of the questions repeated{_describe_critic(episodes)}"
    )


def _describe_critic(episodes: EpisodeTally) -> str:
    """Returns the exact critic's shares of useful questions and true observations; nothing where it
    knows no scene."""
    if not episodes.critic_asked:
        return ""
    return (
        f"; exact critic: {episodes.useful_share or 0.0:.0%} of {episodes.critic_asked} questions "
        f"useful, {episodes.true_share or 0.0:.0%} of {episodes.critic_observed} observations true"
    )


def describe_questions(asked: QuestionTally) -> str:
    """Returns what a round asked about its images, as a line."""
    kept = f"{asked.kept_share:.0%}" if asked.kept_share is not None else "none"
    kinds = ", ".join(
        f"{kind} {tally.grounded} of {tally.asked} (elsewhere {tally.elsewhere})"
        for kind, tally in asked.kinds.items()
    )
    n_read = sum(tally.asked for tally in asked.kinds.values())
    return (
        f"Questions: {asked.n_drawn} drawn about {asked.n_images} images, {asked.n_proposed} "
        f"distinct ones, {n_read} of them well-formed, {asked.n_kept} kept as items ({kept}), "
        f"{asked.n_waiting} waiting; {asked.n_known} asked what was known, "
        f"{asked.n_empty} asked nothing, {asked.n_over} over the limit"
        f"{f'. With an answer in their image: {kinds}' if kinds else ''}"
    )


def describe_maps(maps: MapTally) -> str:
    """Returns what was measured of the looks of a round, as a line."""
    return f"Looks: {maps.looks} measured by hiding places, in {maps.seconds:.1f} s"


def describe_rewarded(figures: RewardedFigures) -> str:
    """Returns what a round drew to learn from rewards, as a line."""
    return f"Rewards: {figures.n_draws} draws, {figures.n_tokens} tokens, {figures.seconds:.0f} s"


def describe(session: "Session", round_: "Round") -> dict[str, Any]:
    """Returns a round's state as plain data."""
    from app.queries.rounds.progress import get_progress

    progress = get_progress(session, round_)
    return {
        "round": round_.number,
        "status": round_.status.value,
        "decision": round_.decision.value if round_.decision else None,
        "reason": round_.decision_reason,
        "items": {
            "waiting": progress.n_waiting,
            "open": progress.n_open,
            "done": progress.n_done,
            "resting": progress.n_resting,
            "set aside": progress.n_set_aside,
        },
        "draws": {"all": progress.drawn.draws, "cut": progress.drawn.cut_draws},
        **({"episodes": progress.episodes.dump()} if progress.episodes else {}),
        **({"branches": progress.branches.dump()} if progress.branches else {}),
        **({"maps": progress.maps.dump()} if progress.maps else {}),
        "n_submitted": progress.n_submitted,
        "figures": round_.figures,
        "runs": [
            {
                "job": entry.run.job.value,
                "status": entry.run.status.value,
                "shards": f"{entry.n_shards_done}/{entry.n_shards}" if entry.n_shards else "",
                "written": entry.n_written,
                "attempt": entry.run.attempt,
                "worker": ", ".join(entry.worker_names),
                "error": entry.run.error,
            }
            for entry in progress.runs
        ],
    }


def _open_round(session: "Session", project: str) -> "Round":
    from app.queries.rounds.rounds import find_open_round

    round_ = find_open_round(session, get_project(session, project).id)
    if round_ is None:
        raise Conflict(f"Project {project} has no open round: illume round start {project}")
    return round_
