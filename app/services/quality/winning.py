"""Which of two adapters people, or a critic, prefer: per item, and over all items."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.evidence import ComparisonFigures, Figure
from app.lifecycle import EvidenceKind
from app.measures import wilson_interval
from app.metrics.intervals import bootstrap_mean_interval
from app.models import Comparison, Round
from app.queries.quality import comparisons as queries
from app.queries.quality.comparisons import ComparedText
from app.queries.quality.evidence import store_evidence
from app.round_settings import LoopSettings


def store_comparisons(session: Session, round_: Round, *, run_id: int, attempt: int) -> None:
    """Measure and store the comparisons that a round has to do with: that of its own adapter, and
    those of which it shows items. Nothing is stored where nobody judged so far."""
    for compared in {round_, *queries.list_compared_rounds(session, round_.id)}:
        comparison = queries.find_comparison(session, compared.id)
        if comparison is None:
            continue
        figures = measure_comparison(session, compared, comparison)
        if figures.n_judged:
            store_evidence(
                session,
                compared.id,
                EvidenceKind.COMPARISON,
                figures.dump(),
                run_id=run_id,
                attempt=attempt,
            )


def measure_comparison(
    session: Session, round_: Round, comparison: Comparison
) -> ComparisonFigures:
    """Returns how often the adapter that a round made wrote better than the one before.

    On an item the adapter wins whose shown texts fit in the higher share of all votes on them; a
    text that both drew counts for both. The win rate is that of the items that one of them won.
    """
    by_item: dict[int, list[ComparedText]] = defaultdict(list)
    for text in queries.list_judged_texts(session, comparison.id):
        by_item[text.item_id].append(text)
    pairs: list[tuple[float, float]] = []
    n_identical = 0
    for texts in by_item.values():
        old = [text for text in texts if text.is_old]
        new = [text for text in texts if text.is_new]
        if old and new:
            pairs.append((_share(old), _share(new)))
            n_identical += all(text.is_old and text.is_new for text in texts)
    counts = queries.count_progress(session, comparison.id)
    n_wins = sum(new > old for old, new in pairs)
    n_losses = sum(new < old for old, new in pairs)
    judges = LoopSettings.model_validate(round_.settings).judging.judges
    return ComparisonFigures(
        comparison_id=comparison.id,
        judged_by=judges,
        n_items=counts.n_comparable,
        n_judged=len(pairs),
        n_judgements=counts.n_judgements,
        n_people=counts.n_people,
        n_wins=n_wins,
        n_losses=n_losses,
        n_ties=len(pairs) - n_wins - n_losses,
        n_identical=n_identical,
        win=_win_rate(n_wins, n_wins + n_losses),
        old=_mean([old for old, _ in pairs]),
        new=_mean([new for _, new in pairs]),
        change=_mean([new - old for old, new in pairs]),
    )


def _share(texts: Sequence[ComparedText]) -> float:
    return sum(text.n_fits for text in texts) / sum(text.n_votes for text in texts)


def _win_rate(n_wins: int, n_decided: int) -> Figure:
    if n_decided == 0:
        return Figure()
    low, high = wilson_interval(n_wins, n_decided)
    return Figure(value=n_wins / n_decided, low=low, high=high, n=n_decided)


def _mean(values: Sequence[float]) -> Figure:
    if not values:
        return Figure()
    low, high = bootstrap_mean_interval(values) or (None, None)
    return Figure(value=sum(values) / len(values), low=low, high=high, n=len(values))
