"""The figures of a loop as a table: what each round brought, then what to hold it against."""

from typing import Any

from rich.table import Table

from app.cli.console import console
from app.cli.rounds import describe_episodes, describe_questions
from app.lifecycle import Split
from app.run_results import RoundFigures
from app.services.critic_verdicts import tell_unjudged
from app.services.evaluation.score_names import Series, score_name

COLUMNS = ("round", "covered", "draws that fit", "test fit", "accuracy", "ROUGE-L", "CIDEr")

Scores = dict[str, dict[str, Any]]


def print_table(figures: dict[str, Any]) -> None:
    table = Table(
        title=f"{figures['project']}: critic {figures['critic']}, control {figures['control']}, "
        f"seed {figures['seed']}, {figures['seconds']} s"
    )
    for name in COLUMNS:
        table.add_column(name, justify="right")
    rounds = figures["rounds"]
    tallies = []
    for entry in rounds:
        brought = RoundFigures.find(entry.get("figures", {}))
        if brought and brought.episodes:
            tallies.append(f"Round {entry['round']}: {describe_episodes(brought.episodes)}")
        if brought and brought.questions:
            tallies.append(f"Round {entry['round']}: {describe_questions(brought.questions)}")
        share = brought.fitting_share if brought else None
        by_strategy = entry.get("strategies", {})
        scores = {} if by_strategy else _test_scores(entry)
        table.add_row(
            _round_name(entry),
            f"{brought.n_covered}/{brought.n_items}" if brought else "",
            f"{share:.1%}" if share is not None else "",
            *_cells(scores, Series.MODEL),
        )
        for name, measured in by_strategy.items():
            own = measured.get(Split.TEST.value, {})
            table.add_row(f"{entry['round']} {name}", "", "", *_cells(own, Series.MODEL))
    table.add_section()
    evaluated = [entry for entry in rounds if _test_scores(entry)]
    if evaluated:
        _add_comparison(table, evaluated)
    console.print(table)
    for line in tallies:
        console.print(line, highlight=False)
    if evaluated and (told := _tell_fit(evaluated[-1], figures["critic"])):
        console.print(told, highlight=False)
    last = rounds[-1]
    if last.get("reason"):
        console.print(f"Ended after round {last['round']}: {last['decision']}. {last['reason']}")


def _tell_fit(entry: dict[str, Any], critic: str) -> str | None:
    """Returns of how many test items the fit was measured; None where of all."""
    scores = _test_scores(entry)
    n_judged, n_items = (
        scores.get(score_name(Series.MODEL, metric), {}).get("n", 0)
        for metric in ("fit", "answer_accuracy")
    )
    return tell_unjudged(critic, n_judged=n_judged, n_items=n_items)


def _round_name(entry: dict[str, Any]) -> str:
    if entry["round"] == 0:
        return "base"
    return f"{entry['round']} (prior)" if entry.get("source") == "prior" else str(entry["round"])


def _add_comparison(table: Table, evaluated: list[dict[str, Any]]) -> None:
    """Blank pictures; then the newest model and people, each text against the item's others."""
    first, last = evaluated[0], evaluated[-1]
    newest = "base" if last["round"] == 0 else str(last["round"])
    for label, entry, series in (
        ("base, blank", first, Series.BLANK),
        (f"{newest}, blank", last if last is not first else {}, Series.BLANK),
        (f"{newest}, one left out", last, Series.LEAVE_ONE_OUT),
        ("people, one left out", last, Series.HUMAN),
    ):
        cells = _cells(_test_scores(entry), series)
        if any(cells):
            table.add_row(label, "", "", *cells)
            table.caption = (
                "blank: asked with a blank picture; one left out: each text against the other "
                "references of its item"
            )


def _test_scores(entry: dict[str, Any]) -> Scores:
    scores: Scores = entry.get("scores", {}).get(Split.TEST.value, {})
    return scores


def _cells(scores: Scores, series: Series) -> list[str]:
    def find(metric: str) -> dict[str, Any] | None:
        return scores.get(score_name(series, metric))

    return [
        _share(find("fit")),
        _share(find("answer_accuracy")),
        _number(find("rouge_l")),
        _number(find("cider")),
    ]


def _share(score: dict[str, Any] | None) -> str:
    if score is None:
        return ""
    return f"{score['value']:.1%} ({score['low']:.1%}–{score['high']:.1%})"


def _number(score: dict[str, Any] | None) -> str:
    if score is None:
        return ""
    interval = f" ({score['low']:.2f}–{score['high']:.2f})" if score["low"] is not None else ""
    return f"{score['value']:.2f}{interval}"
