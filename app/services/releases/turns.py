"""Writes the turns and looks of draws into a release: those that led to a text, the marks,
corrections and boxes of people, and the branches that the model played from a correction."""

from collections.abc import Iterable, Sequence

from app.models import Json, Project
from app.queries.releases.branches import BranchSource
from app.queries.releases.candidates import TraceSource
from app.queries.releases.judgements import JudgementSource
from app.queries.releases.looks import BoxSource, LooksSource
from app.queries.releases.turns import TurnSource
from app.services.releases.names import public_judge_name
from app.strategies.monologue import Turn
from app.strategies.perception import Look


def describe_trace(source: TraceSource) -> Json:
    """Returns the trace of a row. Its tokens are left out: they are numbers of one model's
    vocabulary."""
    return {
        "round": source.round_number,
        "turns": _turns(source.trace.turns),
        "answer": source.trace.answer,
        "n_ways": source.n_ways,
    }


def describe_looks(source: LooksSource) -> Json:
    """Returns where the model looked for the text of a row, on grids row by row from the top left.
    What nobody measured is null."""
    return {
        "round": source.round_number,
        "looks": [look.model_dump(mode="json") for look in source.trace.looks],
        "without": source.trace.without,
        "n_ways": source.n_ways,
    }


def describe_boxes(
    project: Project, boxes: Sequence[tuple[JudgementSource, BoxSource]]
) -> dict[str, list[Json]]:
    """Returns where people say that the model should have looked, which nobody judged. Rows without
    any stay as they always were."""
    entries = [
        {**_of_turn(project, judgement, one.number, one.look), **one.box.model_dump()}
        for judgement, one in boxes
    ]
    return {"boxes": sorted(entries, key=_place_of_turn)} if entries else {}


def describe_turns(
    project: Project, said: Sequence[tuple[JudgementSource, TurnSource]]
) -> dict[str, list[Json]]:
    """Returns marks, and corrected observations: texts by people that nobody judged. Rows of which
    nothing is said stay as they always were.
    """
    found: dict[str, list[Json]] = {}
    for judgement, one in said:
        entry = _of_turn(project, judgement, one.number, one.turn)
        if one.of is None:
            found.setdefault("corrections", []).append({**entry, "corrected": one.value})
        else:
            found.setdefault("marks", []).append({**entry, "of": one.of, "value": one.value})
    return {name: sorted(entries, key=_place_of_turn) for name, entries in sorted(found.items())}


def describe_branches(
    project: Project, branches: Sequence[tuple[JudgementSource, BranchSource]]
) -> dict[str, list[Json]]:
    """Returns the branches of a row: texts of the model, told what a person saw, that nobody
    judged. Rows without any stay as they always were."""
    entries = [_branch(project, judgement, source) for judgement, source in branches]
    entries.sort(key=lambda entry: (*_place_of_turn(entry), entry["corrected"]))
    return {"branches": entries} if entries else {}


def _branch(project: Project, judgement: JudgementSource, source: BranchSource) -> Json:
    branch, trace = source.branch, source.trace
    return {
        **_of_turn(project, judgement, branch.turn, source.turn),
        "corrected": branch.correction,
        "draw": {
            "opener": source.opener,
            "temperature": source.temperature,
            "number": source.number,
        },
        "turns": _turns(trace.turns[branch.turn :]),
        "outcome": trace.outcome.value,
        "answer": trace.answer,
        "rationale": branch.text or None,
        "adapter": source.adapter_digest,
        "seed": branch.seed,
        "log_probability": rounded(branch.log_probability),
        "is_cut": branch.is_cut,
    }


def rounded(log_probability: float | None) -> float | None:
    """Returns a log probability as releases tell it: six digits are more than the arithmetic gives;
    adding 0.0 turns -0.0 into 0.0."""
    return None if log_probability is None else round(log_probability, 6) + 0.0


def _of_turn(project: Project, judgement: JudgementSource, number: int, turn: Turn | Look) -> Json:
    return {
        "round": judgement.round_number,
        "judge": public_judge_name(project, judgement),
        "judge_kind": judgement.user_kind.value,
        "turn": number,
        **_what(turn),
    }


def _what(turn: Turn | Look) -> Json:
    """What a turn asked and saw; of a look its grid and the place in it that counted most, both
    from 1 on."""
    if isinstance(turn, Turn):
        return {"asked": turn.asked, "observed": turn.observed}
    row, column = turn.peak
    looked = {"rows": turn.rows, "columns": turn.columns, "row": row + 1, "column": column + 1}
    return {"looked": looked}


def _turns(turns: Iterable[Turn]) -> list[Json]:
    return [
        {"asked": turn.asked, "observed": turn.observed, "is_repeated": turn.is_repeated}
        for turn in turns
    ]


def _place_of_turn(entry: Json) -> tuple[int, str, str, int, str]:
    return (
        entry["round"],
        entry["judge_kind"],
        entry["judge"],
        entry["turn"],
        entry.get("of", ""),
    )
