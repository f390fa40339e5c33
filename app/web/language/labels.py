"""Names the values of our enums for pages. English: the value itself, in words."""

from app.kit.sentences import Sentence, Share
from app.web.language.languages import translate

_WORDS = (
    # Rounds and runs.
    Sentence("draft"),
    Sentence("generating"),
    Sentence("judging"),
    Sentence("closing"),
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
    Sentence("standing"),
    Sentence("withdrawn"),
    # Steps of imports, releases and closings.
    Sentence("admitting rationales"),
    Sentence("planning the training"),
    Sentence("checking images"),
    Sentence("storing images"),
    Sentence("adding items"),
    Sentence("writing jsonl"),
    Sentence("writing huggingface"),
    Sentence("writing parquet"),
    Sentence("writing llava"),
    Sentence("writing preference-judgement"),
    Sentence("writing preference-agreed"),
    Sentence("writing preference-policy"),
    Sentence("writing kto-judgement"),
    Sentence("writing kto-agreed"),
    Sentence("writing kto-policy"),
    # Steps of gathering evidence.
    Sentence("reading judgements"),
    Sentence("measuring agreement"),
    Sentence("testing positions"),
    Sentence("trying policies"),
    Sentence("measuring the yield"),
    Sentence("counting questions"),
    # Jobs; `train` is a split too.
    Sentence("baseline"),
    Sentence("generate"),
    Sentence("judge"),
    Sentence("close"),
    Sentence("evaluate"),
    Sentence("import"),
    Sentence("release"),
    Sentence("assess"),
    Sentence("try"),
    # Policies.
    Sentence("any"),
    Sentence("majority"),
    Sentence("unanimous"),
    Sentence("adjudicated"),
    # What a worker counts per second.
    Sentence("samples"),
    Sentence("steps"),
    # Faults.
    Sentence("wrong about image"),
    Sentence("does not justify"),
    Sentence("restates answer"),
    Sentence("unclear"),
    # Why an item brought nothing.
    Sentence("image"),
    Sentence("prompt"),
    Sentence("server"),
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


def word(value: object) -> str:
    """Returns the word for a value, as a sentence that a page can translate."""
    return LABELS.get(str(value).replace(" ", "_")) or str(value).replace("_", " ")


def policy_words(name: str) -> str:
    """Returns the words for an admission policy by the name that admissions keep, with its
    parameter, as a sentence that a page can translate."""
    if (votes := name.removeprefix("at_least_")) != name:
        return Sentence("at least %(n)s", n=int(votes))
    if (probability := name.removeprefix("dawid_skene_")) != name:
        return Sentence("Dawid–Skene at %(probability)s", probability=Share(probability))
    return word(name)


def label(value: object) -> str:
    """Returns the word for a value, in the language of the page."""
    return translate(word(value))
