"""METEOR 1.5 for English, where Java and the package pycocoevalcap are installed.

Its matching by stems, synonyms and paraphrases rests on tables that only its own program has, so
that program (a jar inside pycocoevalcap) counts the matches of each text. The score of the counts
is ours: Denkowski and Lavie 2014, section 2, with the published parameters for English. So any part
of a corpus can be scored anew, as intervals need it, without asking the program again.

Nothing else depends on it: where it is absent, `why_no_meteor` says why, and there is no score.
"""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.kit.sentences import Sentence
from app.metrics.pairs import Tokenizer, average, tokenize_pairs
from app.metrics.tokens import tokenize

_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
_WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])  # words equal, of one stem, synonyms, paraphrases
_N_COUNTS = 23
_SECONDS_TO_START = 120.0
_SECONDS_PER_PAIR = 0.1

Counts = npt.NDArray[np.float64]


class MeteorError(Exception):
    """The METEOR program did not answer as expected; the message says how."""


@dataclass(frozen=True)
class MeteorCounts:
    """The counts of each text that METEOR is made of, in its program's order: shape (items, 23).

    Length and function words of text and reference; per kind of match the content and function
    words matched in either; chunks; all words matched in either.
    """

    counts: Counts

    def score(self, items: npt.NDArray[np.int64] | None = None) -> float:
        """Returns the METEOR of the given items (with repetition) as one corpus, or of
        all; 0 to 1.
        """
        chosen = slice(None) if items is None else items
        return _score(self.counts[chosen].sum(axis=0))

    def per_item(self) -> list[float]:
        return [_score(row) for row in self.counts]

    def averaged(self, rows: Sequence[int], owners: Sequence[int]) -> "MeteorCounts":
        """Returns one row per owner: the mean of the given rows that belong to it."""
        return MeteorCounts(average(self.counts[list(rows)], owners))


def why_no_meteor() -> str | None:
    """Returns why METEOR cannot be computed here, or None where it can."""
    if shutil.which("java") is None:
        return Sentence("METEOR is left out: Java is not installed.")
    if _find_jar() is None:
        return Sentence("METEOR is left out: the package pycocoevalcap is not installed.")
    return None


def count_meteor(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    tokenizer: Tokenizer = tokenize,
) -> MeteorCounts:
    """Returns the counts behind METEOR. Raises MeteorError where the program is absent or fails."""
    pairs = tokenize_pairs(hypotheses, references, tokenizer)
    if not pairs:
        return MeteorCounts(np.zeros((0, _N_COUNTS)))
    lines = [
        " ||| ".join(["SCORE", *(_words(text) for text in texts), _words(hypothesis)])
        for hypothesis, texts in pairs
    ]
    answers = _ask(lines)
    try:
        counts = np.array([[float(part) for part in line.split()] for line in answers])
    except ValueError as error:
        raise MeteorError(f"METEOR answered `{answers[0][:100]}`.") from error
    if counts.shape != (len(pairs), _N_COUNTS):
        raise MeteorError(f"METEOR answered {counts.shape} counts for {len(pairs)} texts.")
    # A text that matches its reference word for word is in perfect order: no chunk counts.
    is_whole = (counts[:, 21] == counts[:, 0]) & (counts[:, 22] == counts[:, 1])
    counts[is_whole & (counts[:, 20] <= 1), 20] = 0
    return MeteorCounts(counts)


def _find_jar() -> Path | None:
    found = find_spec("pycocoevalcap")  # looked up, not loaded: only its jar is wanted
    for folder in (found.submodule_search_locations or []) if found else []:
        jar = Path(folder) / "meteor" / "meteor-1.5.jar"
        if jar.is_file():
            return jar
    return None


def _words(tokens: Sequence[str]) -> str:
    return " ".join(tokens).replace("|||", "")  # what parts the program's lines


def _ask(lines: Sequence[str]) -> list[str]:
    """Send lines to the program, one answer each."""
    if reason := why_no_meteor():
        raise MeteorError(reason)
    jar = _find_jar()
    assert jar is not None  # noqa: S101 - there is no reason why not
    # The texts are UTF-8 whatever the locale; the tables of paraphrases want the memory.
    command = ["java", "-Xmx2G", "-Dfile.encoding=UTF-8", "-jar", str(jar)]
    try:
        done = subprocess.run(
            [*command, "-", "-", "-stdio", "-l", "en", "-norm"],
            input="".join(f"{line}\n" for line in lines),
            capture_output=True,
            encoding="utf-8",
            timeout=_SECONDS_TO_START + _SECONDS_PER_PAIR * len(lines),
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise MeteorError(f"METEOR did not answer within {error.timeout:.0f} s.") from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr.strip().splitlines() or ["nothing"])[-1]
        raise MeteorError(f"METEOR ended with {error.returncode} and said: {said}") from error
    return done.stdout.splitlines()


def _score(counts: Counts) -> float:
    """The score of added-up counts: weighted precision and recall, less the penalty for chunks."""
    length, reference_length, function_words, reference_function_words = counts[:4]
    matches = counts[4:20].reshape(4, 4).T @ _WEIGHTS  # content, in either; function, in either
    chunks, matched, reference_matched = counts[20:]
    precision = _share(matches[0], matches[2], length, function_words)
    recall = _share(matches[1], matches[3], reference_length, reference_function_words)
    if precision == 0.0 or recall == 0.0:
        return 0.0
    mean = precision * recall / (_ALPHA * precision + (1 - _ALPHA) * recall)
    disorder = chunks / ((matched + reference_matched) / 2)
    return float(mean * (1 - _GAMMA * disorder**_BETA))


def _share(content: float, function: float, length: float, function_words: float) -> float:
    """Matched among all words, function words weighing less."""
    whole = _DELTA * (length - function_words) + (1 - _DELTA) * function_words
    return (_DELTA * content + (1 - _DELTA) * function) / whole if whole > 0 else 0.0
