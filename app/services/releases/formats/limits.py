"""What a release cannot be taken for: sentences for its cards, from its own figures."""

from collections.abc import Iterator

from app.models import Json
from app.round_settings import Judges


def known_limits(release: Json) -> list[str]:
    """Returns what users of a release have to know, in whole sentences."""
    return list(_limits(release))


def _limits(release: Json) -> Iterator[str]:
    figures, rounds = release["figures"], release["rounds"]
    people, critics = figures["people"], figures["critics"]
    yield (
        "The rationales were written by models. That judges found one fitting says that it reads "
        "as a reason for the answer, not that the model came to its answer in this way."
    )
    yield (
        "Only items that somebody judged are here, and of their texts only those that were shown: "
        "candidates that the list had no place for are in no row."
    )
    if people["annotators"] == 1:
        yield "One person judged everything: how far others would agree is not known."
    elif people["judgements"] and not figures["agreement"]["on_items"]["n"]:
        yield "No item was judged by two people: how far they agree is not known."
    elif people["judgements"] and not release.get("evidence"):
        yield "The agreement on this card is the share of equal judgements; chance is in it."
    if critics["judgements"]:
        yield (
            f"Critics, that is programs, gave {critics['judgements']:,} of "
            f"{critics['judgements'] + people['judgements']:,} judgements."
        )
    controls = [str(one["number"]) for one in rounds if one["control"] != "none"]
    if controls:
        yield (
            f"Verdicts of {_rounds(controls)} were changed on purpose, as a control: what they "
            "admitted does not show what judges think."
        )
    later = [one for one in rounds if one["sampled_from"] or "roles" in one]
    if later:
        numbers = [str(one["number"]) for one in later]
        yield (
            f"The model of {_rounds(numbers)} was trained on what earlier rounds admitted: texts "
            "of later rounds resemble those."
        )
    if any(Judges(one["judges"]).are_people for one in rounds):
        yield (
            "People saw the candidates as a list, in an order of chance: a verdict may depend on "
            "what stood beside its text (`position` and `n_shown` are in every verdict)."
        )
    if figures["items_in_doubt"]:
        yield (
            f"The answers of {figures['items_in_doubt']:,} items are in doubt; the others were not "
            "checked for it beyond what annotators said."
        )


def _rounds(numbers: list[str]) -> str:
    word = "round" if len(numbers) == 1 else "rounds"
    return f"{word} {', '.join(numbers)}"
