"""History and settings in words."""

from collections.abc import Mapping
from typing import Any

JOB_WORDS = {
    "baseline": "Baseline",
    "generate": "Sampling",
    "judge": "Critic",
    "train": "Training",
    "evaluate": "Evaluation",
    "import": "Import",
    "release": "Release",
}


def describe_event(tag: str, details: Mapping[str, Any]) -> str:
    """One line of history for people; a tag that is not known by name is told word by word."""
    if tag.startswith("run:status:"):
        return f"{JOB_WORDS.get(str(details.get('job')), 'Run')} {tag.rpartition(':')[2]}"
    match tag:
        case "round:created":
            return "Round made"
        case "round:status:changed":
            return f"{details['old']} → {details['new']}"
        case "round:decided":
            return f"Decided: {str(details['decision']).replace('_', ' ')}. {details['reason']}"
        case "round:judging:closed":
            return (
                f"Judging closed: {details['n_rationales']} rationales of {details['n_items']} "
                "items admitted"
            )
        case _:
            words = " ".join(tag.split(":"))
            return words[:1].upper() + words[1:]


def flat_settings(data: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Settings as (name, value) lines, names of groups joined by dots."""
    lines: list[tuple[str, str]] = []
    for name, value in data.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict):
            lines += flat_settings(value, f"{path}.")
        elif isinstance(value, list):
            lines.append((path, " · ".join(str(entry) for entry in value)))
        else:
            lines.append((path, "–" if value is None else str(value)))
    return lines
