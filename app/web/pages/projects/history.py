"""History and settings in words."""

from collections.abc import Mapping
from typing import Any

from app.kit.sentences import CountedSentence, Sentence, unpack
from app.web.language.labels import word

JOB_WORDS = {
    "baseline": Sentence("Baseline"),
    "generate": Sentence("Sampling"),
    "judge": Sentence("Critic"),
    "close": Sentence("Closing"),
    "train": Sentence("Training"),
    "evaluate": Sentence("Evaluation"),
    "import": Sentence("Import"),
    "release": Sentence("Release"),
}

_OTHER_EVENTS = {
    "run:cancel:requested": Sentence("Run cancel requested"),
    "base:pinned": Sentence("Base model pinned by its content"),
    "base:changed": Sentence("Went on with a changed base model"),
    "model:proved": Sentence("The model was tried, and holds"),
    "model:refused": Sentence("The model was tried, and refused"),
}


def describe_event(tag: str, details: Mapping[str, Any]) -> str:
    """One line of history for people; a tag that is not known by name is told word by word."""
    if tag.startswith("run:status:"):
        job = JOB_WORDS.get(str(details.get("job")), Sentence("Run"))
        return Sentence("%(job)s %(status)s", job=job, status=word(tag.rpartition(":")[2]))
    match tag:
        case "round:created":
            return Sentence("Round made")
        case "round:status:changed":
            return Sentence("%(old)s → %(new)s", old=word(details["old"]), new=word(details["new"]))
        case "round:decided":
            return Sentence(
                "Decided: %(decision)s. %(reason)s",
                decision=word(details["decision"]),
                reason=unpack(details["reason"]),
            )
        case "round:judging:closed":
            return Sentence(
                "Judging closed. Admitted: %(rationales)s of %(items)s",
                rationales=CountedSentence(
                    "%(n)s rationale", "%(n)s rationales", n=details["n_rationales"]
                ),
                items=CountedSentence("%(n)s item", "%(n)s items", n=details["n_items"]),
            )
        case _:
            words = " ".join(tag.split(":"))
            return _OTHER_EVENTS.get(tag, words[:1].upper() + words[1:])


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
