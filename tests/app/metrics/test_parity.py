"""Our metrics against figures of pycocoevalcap, kept in golden.json: no Java is needed here.

The texts of golden.json are this project's own. What stands beside them was written once by
`python -m benchmarks.metric_parity --golden tests/app/metrics/golden.json`: pycocoevalcap 1.2, its
PTB tokenizer (Stanford CoreNLP 3.4.1) and METEOR 1.5 on OpenJDK 17. The same module compares both
on as many real rows as wanted.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app.metrics import (
    MeteorError,
    bleu,
    bleu_per_item,
    cider,
    cider_per_item,
    count_meteor,
    rouge_l,
    rouge_l_per_item,
    tokenize,
    why_no_meteor,
)

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"))
ITEMS = GOLDEN["items"]
HYPOTHESES = [item["hypothesis"] for item in ITEMS]
REFERENCES = [item["references"] for item in ITEMS]

PER_ITEM: dict[str, Callable[[], list[float]]] = {
    **{
        f"bleu{n + 1}": lambda n=n: [row[n] for row in bleu_per_item(HYPOTHESES, REFERENCES)]
        for n in range(4)
    },
    "rouge_l": lambda: rouge_l_per_item(HYPOTHESES, REFERENCES),
    "cider": lambda: cider_per_item(HYPOTHESES, REFERENCES),
}
OF_CORPUS: dict[str, Callable[[], float]] = {
    **{f"bleu{n + 1}": lambda n=n: bleu(HYPOTHESES, REFERENCES)[n] for n in range(4)},
    "rouge_l": lambda: rouge_l(HYPOTHESES, REFERENCES),
    "cider": lambda: cider(HYPOTHESES, REFERENCES),
}


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item["hypothesis"][:20])
def test_texts_are_cut_as_the_java_tokenizer_cuts_them(item: dict[str, list[str]]) -> None:
    texts = [item["hypothesis"], *item["references"]]
    assert [" ".join(tokenize(str(text))) for text in texts] == item["tokens"]


@pytest.mark.parametrize("name", PER_ITEM)
def test_scores_are_those_of_the_caption_benchmark(name: str) -> None:
    expected = [item["scores"][name] for item in ITEMS]
    assert PER_ITEM[name]() == pytest.approx(expected, abs=1e-6)
    assert OF_CORPUS[name]() == pytest.approx(GOLDEN["corpus"][name], abs=1e-6)
    assert max(expected) > 0.1, "a figure of nothing but zeros would prove nothing"


@pytest.mark.slow
@pytest.mark.skipif(why_no_meteor() is not None, reason=str(why_no_meteor()))
def test_meteor_is_that_of_the_caption_benchmark() -> None:
    counts = count_meteor(HYPOTHESES, REFERENCES)
    expected = [item["scores"]["meteor"] for item in ITEMS]
    assert counts.per_item() == pytest.approx(expected, abs=1e-6)
    assert counts.score() == pytest.approx(GOLDEN["corpus"]["meteor"], abs=1e-6)


def test_meteor_says_what_is_missing_where_there_is_no_java(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    reason = "METEOR is left out: Java is not installed."
    assert why_no_meteor() == reason
    with pytest.raises(MeteorError, match="Java is not installed"):
        count_meteor(HYPOTHESES, REFERENCES)


def test_meteor_of_a_program_that_fails_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "pycocoevalcap"
    (package / "meteor").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "meteor" / "meteor-1.5.jar").touch()
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'not enough memory' >&2\nexit 3\n")
    java.chmod(0o755)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert why_no_meteor() is None
    with pytest.raises(MeteorError, match="ended with 3 and said: not enough memory"):
        count_meteor(["a ball"], [["a red ball"]])
