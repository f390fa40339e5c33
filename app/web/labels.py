"""What pages call the values of our enums. English: the value itself, in words."""

from app.texts import Sentence
from app.web.languages import translate

_WORDS = (
    # Rounds and runs.
    Sentence("draft"),
    Sentence("generating"),
    Sentence("judging"),
    Sentence("training"),
    Sentence("evaluating"),
    Sentence("completed"),
    Sentence("cancelled"),
    Sentence("queued"),
    Sentence("running"),
    Sentence("succeeded"),
    Sentence("failed"),
    # Items of a round, and judgements.
    Sentence("waiting"),
    Sentence("open"),
    Sentence("done"),
    Sentence("resting"),
    Sentence("set aside"),
    Sentence("leased"),
    Sentence("submitted"),
    Sentence("skipped"),
    Sentence("released"),
    # Splits.
    Sentence("train"),
    Sentence("validation"),
    Sentence("test"),
    # Roles.
    Sentence("annotator"),
    Sentence("admin"),
    # Decisions.
    Sentence("continue"),
    Sentence("all covered"),
    Sentence("no progress"),
    Sentence("under floor"),
    Sentence("round limit"),
)
LABELS = {word.replace(" ", "_"): word for word in _WORDS}


def label(value: object) -> str:
    """The word for a value, in the language of the page."""
    return translate(LABELS.get(str(value)) or str(value).replace("_", " "))
