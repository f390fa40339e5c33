"""The curves of what a round learned from rewards."""

from collections.abc import Iterator

from app.kit.sentences import Sentence
from app.lifecycle import Job
from app.models import Run
from app.queries.rounds.progress import RoundProgress
from app.reward_results import ReinforcementProgress, ReinforcementResult, ReinforcementStep
from app.strategies.monologue import OBSERVER, REASONER
from app.web.render.charts import Chart, Point, line_chart

ROLES = {REASONER: Sentence("reasoner"), OBSERVER: Sentence("observer")}
"""What a line is called, by the role that learned."""


def reward_charts(progress: RoundProgress) -> tuple[Chart, ...]:
    """Returns the rewards, and the divergence from what was learned before, of all steps of a round
    in their order, with a line for each role; nothing where nothing was learned from rewards."""
    rewards: dict[str, list[Point]] = {}
    divergences: dict[str, list[Point]] = {}
    n_before = 0
    for run in _last_runs(progress):
        curve, n_steps = _curve(run)
        for point in curve:
            place, role = n_before + point.step, run.role or ""
            if point.reward is not None:
                rewards.setdefault(role, []).append((place, point.reward))
            if point.kl is not None:
                divergences.setdefault(role, []).append((place, point.kl))
        n_before += n_steps
    charts = (
        _chart(Sentence("Reward per draw"), rewards, Sentence("by step")),
        _chart(
            Sentence("Divergence from the training before"),
            divergences,
            Sentence("nats per token, by step"),
        ),
    )
    return tuple(chart for chart in charts if chart is not None)


def _last_runs(progress: RoundProgress) -> Iterator[Run]:
    """The runs that learned from rewards, in their order; of those that were retried the last."""
    runs = [entry.run for entry in progress.runs if entry.run.job is Job.REINFORCE]
    retried = {run.retry_of_id for run in runs}
    yield from sorted((run for run in runs if run.id not in retried), key=lambda run: run.id)


def _curve(run: Run) -> tuple[tuple[ReinforcementStep, ...], int]:
    result = ReinforcementResult.find(run.result)
    if result is not None:
        return result.curve, result.n_steps
    going = ReinforcementProgress.read(run.progress)
    return going.curve, going.n_steps


def _chart(title: Sentence, lines: dict[str, list[Point]], x_label: Sentence) -> Chart | None:
    series = [(ROLES.get(role, role), points) for role, points in lines.items()]
    return line_chart(title, series, x_label=x_label)
