"""Computes the scores of an evaluation from the texts of its predictions; pure.

Text metrics are measured several times over, each a series of scores with names of its own:

- the model, on all items that people have explained (the field's *unfiltered* figures);
- `filtered`: the model, on those it answered right, a corpus of their own as in the field's tables;
- `human`: what people wrote, each text against the others of its item (leave one out);
- `leave_one_out`: the model against those very references, to be held beside `human`: against all
  references it would have one more chance than a person has;
- `blank`: the model asked with a blank picture.

`human` and `leave_one_out` score an item once for each of its texts, and the item counts with the
mean of them. A series without an item has no scores.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from app.lifecycle import Split
from app.metrics import (
    Interval,
    MeteorCounts,
    average,
    bootstrap_interval,
    bootstrap_mean_interval,
    cider_per_item,
    count_bleu,
    count_meteor,
    rouge_l_per_item,
    tokenize,
    wilson_interval,
)
from app.services.evaluation.score_names import Series, score_name

N_RESAMPLES = 500

Pair = tuple[str, tuple[str, ...]]


@dataclass(frozen=True)
class Outcome:
    """The outcome of one text of a model, written with the item's picture or a blank one."""

    rationale: str
    answer_is_right: bool
    fits: bool | None
    """None where the critic could not judge the item: it has no verdict and counts in no share."""
    soft_accuracy: float | None = None
    """None where too few people's answers came with the item."""


@dataclass(frozen=True)
class ScoredItem:
    """One held-out item of an evaluation."""

    references: tuple[str, ...]
    seen: Outcome
    blank: Outcome | None


@dataclass(frozen=True)
class Figure:
    name: str
    value: float
    n: int
    interval: Interval | None


@dataclass(frozen=True)
class _Corpus:
    """Pairs of a text and its references; `owners` numbers the item of each pair."""

    series: Series
    pairs: list[Pair]
    owners: list[int]

    @property
    def n_items(self) -> int:
        return self.owners[-1] + 1


def measure(
    predicted: Mapping[Split, Sequence[ScoredItem]], *, with_meteor: bool
) -> dict[Split, list[Figure]]:
    """Returns all figures of each split. Raises MeteorError where METEOR is wanted and fails."""
    corpora = {split: _corpora(items) for split, items in predicted.items() if items}
    pairs = dict.fromkeys(pair for group in corpora.values() for own in group for pair in own.pairs)
    places = {pair: place for place, pair in enumerate(pairs)}
    # One call for everything: its program needs seconds to start.
    meteor = None
    if with_meteor:
        meteor = count_meteor([text for text, _ in pairs], [references for _, references in pairs])
    words = cache(tokenize)  # a reference stands in many pairs
    found: dict[Split, list[Figure]] = {}
    for split, group in corpora.items():
        found[split] = [*_shares(predicted[split]), *_soft_accuracies(predicted[split])]
        for corpus in group:
            found[split] += _text_figures(corpus, words)
            if meteor:
                found[split].append(_meteor_figure(corpus, meteor, places))
    return found


def _shares(items: Sequence[ScoredItem]) -> list[Figure]:
    """The share of right answers over all items, and of fits over those with a verdict, whose
    number is its n. Where no item has one there is no figure of fit."""
    blank = [item.blank for item in items if item.blank]
    figures = []
    for series, outcomes in ((Series.MODEL, [item.seen for item in items]), (Series.BLANK, blank)):
        for metric, values in (
            ("answer_accuracy", [outcome.answer_is_right for outcome in outcomes]),
            ("fit", [outcome.fits for outcome in outcomes if outcome.fits is not None]),
        ):
            if values:
                hits, n = sum(values), len(values)
                interval = wilson_interval(hits, n)
                figures.append(Figure(score_name(series, metric), hits / n, n, interval))
    return figures


def _soft_accuracies(items: Sequence[ScoredItem]) -> list[Figure]:
    """The mean over the items that came with several people's answers; their number is its n."""
    blank = [item.blank for item in items if item.blank]
    figures = []
    for series, outcomes in ((Series.MODEL, [item.seen for item in items]), (Series.BLANK, blank)):
        values = [
            outcome.soft_accuracy for outcome in outcomes if outcome.soft_accuracy is not None
        ]
        if values:
            interval = bootstrap_mean_interval(values, n_resamples=N_RESAMPLES)
            name = score_name(series, "soft_accuracy")
            figures.append(Figure(name, sum(values) / len(values), len(values), interval))
    return figures


def _corpora(items: Sequence[ScoredItem]) -> list[_Corpus]:
    explained = [item for item in items if item.references]
    several = [item for item in explained if len(item.references) > 1]
    blank = [(item.blank, item.references) for item in explained if item.blank]
    whole = {
        Series.MODEL: [(item.seen.rationale, item.references) for item in explained],
        Series.FILTERED: [
            (item.seen.rationale, item.references)
            for item in explained
            if item.seen.answer_is_right
        ],
        Series.BLANK: [(outcome.rationale, references) for outcome, references in blank],
    }
    corpora = [
        *(_Corpus(series, pairs, list(range(len(pairs)))) for series, pairs in whole.items()),
        _left_out(Series.LEAVE_ONE_OUT, several),
        _left_out(Series.HUMAN, several),
    ]
    return [corpus for corpus in corpora if corpus.pairs]


def _left_out(series: Series, items: Sequence[ScoredItem]) -> _Corpus:
    """Each reference of each item left out in turn; it is the text of the human series."""
    pairs: list[Pair] = []
    owners: list[int] = []
    for number, item in enumerate(items):
        for place, text in enumerate(item.references):
            others = item.references[:place] + item.references[place + 1 :]
            pairs.append((text if series is Series.HUMAN else item.seen.rationale, others))
            owners.append(number)
    return _Corpus(series, pairs, owners)


def _text_figures(corpus: _Corpus, words: Callable[[str], list[str]]) -> list[Figure]:
    hypotheses, references = zip(*corpus.pairs, strict=True)
    n = corpus.n_items
    bleu = count_bleu(hypotheses, references, words).averaged(corpus.owners)
    interval = bootstrap_interval(n, lambda chosen: bleu.score(chosen)[3], n_resamples=N_RESAMPLES)
    figures = [Figure(score_name(corpus.series, "bleu4"), bleu.score()[3], n, interval)]
    for metric, per_pair in (
        ("rouge_l", rouge_l_per_item(hypotheses, references, words)),
        ("cider", cider_per_item(hypotheses, references, words)),
    ):
        values = average(np.array(per_pair), corpus.owners)
        interval = bootstrap_mean_interval(values.tolist(), n_resamples=N_RESAMPLES)
        figures.append(Figure(score_name(corpus.series, metric), float(values.mean()), n, interval))
    return figures


def _meteor_figure(corpus: _Corpus, all_pairs: MeteorCounts, places: Mapping[Pair, int]) -> Figure:
    counts = all_pairs.averaged([places[pair] for pair in corpus.pairs], corpus.owners)
    interval = bootstrap_interval(corpus.n_items, counts.score, n_resamples=N_RESAMPLES)
    name = score_name(corpus.series, "meteor")
    return Figure(name, counts.score(), corpus.n_items, interval)
