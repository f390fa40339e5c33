"""A rationale as a conversation: what is asked of a picture, and what a model should answer."""

from collections.abc import Iterable, Iterator

from app.models import Json

USUAL_OPENER = ", because"
"""Between an answer and its rationale where no round says how it went on."""


def asked(payload: Json) -> list[Json]:
    """Returns the prompt of a row, in the form of chat templates; the picture is a column."""
    return [{"role": "user", "content": payload["question"]}]


def answered(payload: Json, opener: str) -> list[Json]:
    """Returns the answer with its rationale, as the model says it: "red, because it is ripe"."""
    return [{"role": "assistant", "content": answer_text(payload, opener)}]


def answer_text(payload: Json, opener: str) -> str:
    """Returns the answer, the words that lead on from it, and the rationale."""
    return f"{payload['answer']}{opener} {payload['rationale']}"


def opener_of(release: Json) -> str:
    """Returns the words between answer and rationale that all rows of a release can share: the
    first opener of its last round.
    """
    openers = [opener for round_ in release["rounds"] for opener in round_["openers"][:1]]
    return openers[-1] if openers else USUAL_OPENER


def own_opener(payload: Json, release: Json) -> str:
    """Returns the opener of the first draw of a text; that of the release where it has none."""
    draw = payload.get("first_draw") or {}
    # Of the first format, which called it otherwise.
    return draw.get("opener") or draw.get("prompt") or opener_of(release)


def by_item(payloads: Iterable[Json]) -> Iterator[tuple[Json, list[Json]]]:
    """Yields the row of each item with the rows of its texts; withdrawn rows are passed over."""
    held: list[Json] = []
    for payload in payloads:
        match payload["kind"]:
            case "item":
                yield payload, held
                held = []
            case "tombstone":
                continue
            case _:
                held.append(payload)
