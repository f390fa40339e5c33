"""The caption benchmark's own scorers (package pycocoevalcap, extra `metrics`; needs Java)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMES = ("bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "cider", "meteor")


@dataclass(frozen=True)
class Figures:
    """One metric over a corpus, and of each item (CIDEr with the corpus' document frequencies)."""

    corpus: float
    items: list[float]


def cut_words(texts: Sequence[str]) -> list[list[str]]:
    """Token lists of the Java tokenizer; nothing is scored without it."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    lines = PTBTokenizer().tokenize({0: [{"caption": text} for text in texts]})[0]
    if len(lines) != len(texts):
        raise RuntimeError(f"The tokenizer gave {len(lines)} lines for {len(texts)} texts.")
    return [line.split() for line in lines]


def score(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, Figures]:
    """Every metric of NAMES of texts that are cut already (words apart by blanks)."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.meteor.meteor import Meteor
    from pycocoevalcap.rouge.rouge import Rouge

    theirs = dict(enumerate(list(texts) for texts in references))
    ours = {number: [text] for number, text in enumerate(hypotheses)}
    corpus, items = Bleu(4).compute_score(theirs, ours, verbose=0)
    found = {f"bleu{n + 1}": _figures(corpus[n], items[n]) for n in range(4)}
    for name, scorer in (("rouge_l", Rouge()), ("cider", Cider()), ("meteor", Meteor())):
        found[name] = _figures(*scorer.compute_score(theirs, ours))
    return found


def write_golden(path: Path) -> None:
    """Fill in what the benchmark's tokenizer and scorers say of a fixture's texts.

    The file holds `items`, each with `hypothesis` and `references`; `tokens` (of the hypothesis and
    then the references) and the item's scores are set anew, and so are the `corpus` scores.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    entries = content["items"]
    texts = [text for entry in entries for text in (entry["hypothesis"], *entry["references"])]
    cut = iter(cut_words(texts))
    for entry in entries:
        entry["tokens"] = [" ".join(next(cut)) for _ in range(1 + len(entry["references"]))]
    figures = score(
        [entry["tokens"][0] for entry in entries], [entry["tokens"][1:] for entry in entries]
    )
    content["corpus"] = {name: figures[name].corpus for name in NAMES}
    for number, entry in enumerate(entries):
        entry["scores"] = {name: figures[name].items[number] for name in NAMES}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _figures(corpus: Any, items: Any) -> Figures:
    return Figures(float(corpus), [float(value) for value in items])
