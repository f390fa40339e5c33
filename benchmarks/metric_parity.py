"""Whether our text metrics are those of the field: ours against pycocoevalcap's on real rows.

    pip install -c constraints.txt '.[metrics]'        # and Java
    python -m benchmarks.metric_parity --data vqaX_val.json [--rows 1000] [--quick]

The data is a file in the VQA-X layout: questions with several human explanations. Of each item one
explanation is the hypothesis and the others are the references. Each kind of hypothesis is a cell:

human    the explanation as it stands
dropped  with about a third of its words left out
swapped  with two of its words in each other's place
foreign  an explanation of another item
texts    all explanations and questions of the file: are they cut into the same words?

A cell is one line of JSON, kept and keyed by what was measured (data, rows, kind, our own code), so
that a run that was stopped goes on. Prints a table of what is there; ends with 1 when a difference
is above 1e-6 or a text is cut otherwise.

`--golden FILE` writes the expected values of tests/app/metrics/golden.json anew instead.
"""

import argparse
import hashlib
import json
import random
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.kit.errors import AppError, SetupError
from app.kit.processes.programs import require_packages
from app.metrics import (
    bleu,
    bleu_per_item,
    cider,
    cider_per_item,
    count_meteor,
    rouge_l,
    rouge_l_per_item,
    tokenize,
)
from benchmarks.support import coco_scorers
from benchmarks.support.cells import Cells, Config, Result, print_result, print_table, run_benchmark
from benchmarks.support.coco_scorers import NAMES, Figures

TOLERANCE = 1e-6
N_QUICK = 200
N_SHOWN = 10
SEED = 20230711
METRICS = Path(__file__).parents[1] / "app" / "metrics"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    parser.add_argument("--data", type=Path, help="a file in the VQA-X layout")
    parser.add_argument("--rows", type=int, default=1000, help="items scored, the first by id")
    parser.add_argument("--quick", action="store_true", help=f"{N_QUICK} rows, a few minutes")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/metric_parity.jsonl"))
    parser.add_argument("--cell", help="measure one configuration and print it (used by itself)")
    parser.add_argument("--golden", type=Path, help="write a fixture's expected values, and end")
    arguments = parser.parse_args()
    if not arguments.data and not arguments.golden and not arguments.cell:
        parser.error("--data is needed: a file in the VQA-X layout")
    check_programs()
    if arguments.golden:
        coco_scorers.write_golden(arguments.golden)
        return
    if arguments.cell:
        print_result(measure(json.loads(arguments.cell)))
        return
    n_rows = min(arguments.rows, N_QUICK) if arguments.quick else arguments.rows
    configs = list_configs(arguments.data, n_rows)
    cells = Cells("benchmarks.metric_parity", arguments.out)
    results = [cells.measure(config) for config in configs]
    print_tables(configs, results)
    sys.exit(0 if all(map(is_equal, results)) else 1)


class _Raw(argparse.RawDescriptionHelpFormatter):
    pass


def check_programs() -> None:
    """End with what is missing, rather than in the middle."""
    require_packages(
        ("pycocoevalcap",),
        who="The comparison",
        how="pip install -c constraints.txt '.[metrics]'",
    )
    if shutil.which("java") is None:
        raise SetupError(
            "Java is missing: pycocoevalcap's tokenizer and METEOR run on it. Install a Java "
            "runtime, on Debian and Ubuntu the package default-jre-headless."
        )


# --- Rows -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One item: its explanations, with the place of the one that is the hypothesis."""

    key: str
    explanations: tuple[str, ...]
    chosen: int

    @property
    def hypothesis(self) -> str:
        return self.explanations[self.chosen]

    @property
    def references(self) -> list[str]:
        return [text for place, text in enumerate(self.explanations) if place != self.chosen]


def read_rows(content: bytes, n_rows: int) -> list[Row]:
    """The first `n_rows` items by id that have several explanations; fewer is an error."""
    data = parse(content)
    several = sorted(key for key, entry in data.items() if len(entry["explanation"]) > 1)
    if len(several) < n_rows:
        raise AppError(
            f"The file has {len(several)} items with several explanations, not {n_rows}. "
            f"Ask for fewer: --rows {len(several)}"
        )
    return [
        Row(key, tuple(data[key]["explanation"]), number % len(data[key]["explanation"]))
        for number, key in enumerate(several[:n_rows])
    ]


def parse(content: bytes) -> dict[str, dict[str, Any]]:
    """Returns the items of a file in the VQA-X layout by their id; refuses another layout."""
    try:
        data = json.loads(content)
        for entry in data.values():
            entry["question"], entry["explanation"][0]
    except (ValueError, AttributeError, KeyError, IndexError, TypeError) as error:
        raise AppError(
            "The data is not in the VQA-X layout: an object per question id, each with `question` "
            "and a list `explanation`."
        ) from error
    return dict(data)


def drop_words(text: str, generator: random.Random) -> str:
    return " ".join(word for word in text.split() if generator.random() > 1 / 3)


def swap_words(text: str, generator: random.Random) -> str:
    words = text.split()
    if len(words) > 1:
        one, other = generator.sample(range(len(words)), 2)
        words[one], words[other] = words[other], words[one]
    return " ".join(words)


def make_hypotheses(rows: Sequence[Row], kind: str) -> list[str]:
    texts = [row.hypothesis for row in rows]
    if kind == "foreign":
        return [*texts[1:], texts[0]]
    change: dict[str, Callable[[str, random.Random], str]] = {
        "human": lambda text, _: text,
        "dropped": drop_words,
        "swapped": swap_words,
    }
    return [
        # An item's words change the same way whichever other items are measured. No empty text:
        # the benchmark's ROUGE counts nothing as one empty word.
        change[kind](row.hypothesis, random.Random(f"{SEED} {row.key}")) or row.hypothesis
        for row in rows
    ]


# --- Cells ----------------------------------------------------------------------------------


def list_configs(data: Path, n_rows: int) -> list[Config]:
    of_data, of_code = hashlib.sha256(data.read_bytes()).hexdigest()[:12], digest_of_metrics()
    return [
        {
            "kind": kind,
            "n_rows": None if kind == "texts" else n_rows,
            "data": str(data),
            "digest": of_data,
            "code": of_code,
        }
        for kind in ("human", "dropped", "swapped", "foreign", "texts")
    ]


def measure(config: Config) -> Result:
    content = Path(config["data"]).read_bytes()
    if config["kind"] == "texts":
        return measure_texts(content)
    return measure_kind(read_rows(content, config["n_rows"]), config["kind"])


def digest_of_metrics() -> str:
    """Changed code is measured anew."""
    texts = [path.read_bytes() for path in sorted(METRICS.glob("*.py"))]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:12]


def measure_kind(rows: Sequence[Row], kind: str) -> Result:
    """Largest differences: on the same words, and with our own words against theirs."""
    hypotheses = make_hypotheses(rows, kind)
    texts = [
        text for row, made in zip(rows, hypotheses, strict=True) for text in (made, *row.references)
    ]
    cut = iter([" ".join(words) for words in coco_scorers.cut_words(texts)])
    their_hypotheses, their_references = [], []
    for row in rows:
        their_hypotheses.append(next(cut))
        their_references.append([next(cut) for _ in row.references])
    theirs = coco_scorers.score(their_hypotheses, their_references)
    same_words = own_words = score_ours(their_hypotheses, their_references, str.split)
    their_texts = [*their_hypotheses, *(text for group in their_references for text in group)]
    own_texts = [*hypotheses, *(text for row in rows for text in row.references)]
    if [text.split() for text in their_texts] != [tokenize(text) for text in own_texts]:
        own_words = score_ours(hypotheses, [row.references for row in rows], tokenize)
    return {
        "corpus": {name: theirs[name].corpus for name in NAMES},
        "same_words": {name: differences(theirs[name], same_words[name]) for name in NAMES},
        "own_words": {name: differences(theirs[name], own_words[name]) for name in NAMES},
    }


def score_ours(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    tokenizer: Callable[[str], list[str]],
) -> dict[str, Figures]:
    given = (hypotheses, references, tokenizer)
    corpus, items = bleu(*given), bleu_per_item(*given)
    found = {f"bleu{n + 1}": Figures(corpus[n], [item[n] for item in items]) for n in range(4)}
    meteor = count_meteor(*given)
    return found | {
        "rouge_l": Figures(rouge_l(*given), rouge_l_per_item(*given)),
        "cider": Figures(cider(*given), cider_per_item(*given)),
        "meteor": Figures(meteor.score(), meteor.per_item()),
    }


def differences(theirs: Figures, ours: Figures) -> dict[str, float]:
    pairs = zip(theirs.items, ours.items, strict=True)
    return {
        "item": max(abs(one - other) for one, other in pairs),
        "corpus": abs(theirs.corpus - ours.corpus),
    }


def measure_texts(content: bytes) -> Result:
    """On how many texts of the file our tokenizer cuts the words that the Java one cuts."""
    data = parse(content)
    texts = sorted(
        {text for entry in data.values() for text in (entry["question"], *entry["explanation"])}
    )
    differing = [
        {"text": text, "theirs": " ".join(words), "ours": " ".join(tokenize(text))}
        for text, words in zip(texts, coco_scorers.cut_words(texts), strict=True)
        if words != tokenize(text)
    ]
    return {"n": len(texts), "n_equal": len(texts) - len(differing), "differing": differing}


def is_equal(result: Result) -> bool:
    if "n_equal" in result:
        return bool(result["n_equal"] == result["n"])
    found = [value for part in ("same_words", "own_words") for value in result[part].values()]
    return all(max(value.values()) <= TOLERANCE for value in found)


# --- What a person sees ---------------------------------------------------------------------


def print_tables(configs: Sequence[Config], results: Sequence[Result]) -> None:
    columns = (
        *("hypothesis", "rows", "metric", "pycocoevalcap"),
        *("per item", "corpus", "per item, own words", "corpus, own words"),
    )
    rows = [
        (
            config["kind"] if name == NAMES[0] else "",
            f"{config['n_rows']:,}" if name == NAMES[0] else "",
            name,
            f"{result['corpus'][name]:.6f}",
            *(
                f"{result[words][name][of]:.1e}"
                for words in ("same_words", "own_words")
                for of in ("item", "corpus")
            ),
        )
        for config, result in zip(configs, results, strict=True)
        if "corpus" in result
        for name in NAMES
    ]
    print_table("Ours against pycocoevalcap: largest absolute difference", columns, rows)
    for result in results:
        if "n_equal" in result:
            share = result["n_equal"] / result["n"]
            counts = f"{result['n_equal']:,} of {result['n']:,} texts ({share:.4%})"
            shown = map(_show, result["differing"][:N_SHOWN])
            sys.stdout.write("\n".join([f"Cut into the same words: {counts}.", *shown, ""]))


def _show(differing: dict[str, str]) -> str:
    return f"  {differing['text']}\n    {differing['theirs']}\n    {differing['ours']}"


if __name__ == "__main__":
    run_benchmark(main, "benchmarks.metric_parity")
