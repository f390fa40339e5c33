"""Counts what each strategy of a round drew, what of it was admitted, and what it cost."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Column,
    ColumnElement,
    Float,
    Integer,
    MetaData,
    String,
    Subquery,
    Table,
    case,
    cast,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.orm import Session

from app.lifecycle import Job
from app.models import (
    Admission,
    Candidate,
    RoundCandidate,
    Run,
    RunShard,
    Sample,
    VerdictRow,
)
from app.queries.counted import counted_judgements
from app.queries.quality.yields import time_per_text

# A row for each strategy and item that it drew for. Several statements read it, and to count it
# is most of their work.
item = Table(
    "found_by_item",
    MetaData(),
    Column("strategy", String),
    Column("item_id", Integer),
    Column("shard_id", Integer),
    Column("n_draws", BigInteger),
    Column("tokens", BigInteger),
    Column("n_texts", BigInteger),
    Column("n_shown", BigInteger),
    Column("n_admitted", BigInteger),
    Column("n_alone", BigInteger),
    Column("admitted", Float),
    Column("fit", Float),
    Column("words", Float),
    Column("square_words", Float),
    Column("ms", Float),
    Column("n_admitted_of_item", BigInteger),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)


def begin_counting(session: Session, round_id: int) -> None:
    """Counts a round item by item; what follows in this transaction sums these counts up."""
    connection = session.connection()
    item.drop(connection, checkfirst=True)
    item.create(connection)
    counted = _by_item(round_id)
    names = [column.name for column in item.columns]
    session.execute(insert(item).from_select(names, select(*(counted.c[name] for name in names))))
    session.execute(text("ANALYZE found_by_item"))


def sum_strategies(session: Session) -> list[Mapping[str, Any]]:
    """Returns a row for each strategy that drew in the round: counts, and the sums over items that
    means and ratios with their intervals are made of."""
    admitted, tokens, ms, fit = item.c.admitted, item.c.tokens, item.c.ms, item.c.fit
    rows = session.execute(
        select(
            item.c.strategy,
            func.sum(item.c.n_draws).label("n_draws"),
            func.sum(item.c.n_texts).label("n_texts"),
            func.sum(item.c.n_shown).label("n_shown"),
            func.sum(item.c.n_admitted).label("n_admitted"),
            func.sum(item.c.n_alone).label("n_alone"),
            func.count()
            .filter(item.c.n_alone > 0, item.c.n_alone == item.c.n_admitted_of_item)
            .label("n_only"),
            func.count(fit).label("n_fit"),
            func.avg(fit).label("fit_mean"),
            func.coalesce(func.stddev_samp(fit), 0.0).label("fit_deviation"),
            func.sum(item.c.words).label("words"),
            func.sum(item.c.square_words).label("square_words"),
            func.count().label("n"),
            *_sums("admitted", admitted),
            *_sums("tokens", tokens, admitted),
            *_sums("ms", ms, admitted),
        )
        .group_by(item.c.strategy)
        .order_by(item.c.strategy)
    )
    return [dict(row._mapping) for row in rows]


def sum_seconds(session: Session) -> list[Mapping[str, Any]]:
    """Returns a row for each strategy: the sums over shards of the seconds that it sampled and of
    what was admitted of it there."""
    shard = (
        select(item.c.strategy, item.c.shard_id, func.sum(item.c.admitted).label("admitted"))
        .group_by(item.c.strategy, item.c.shard_id)
        .subquery()
    )
    own = func.coalesce(
        RunShard.strategy_seconds[shard.c.strategy].astext.cast(Float), RunShard.seconds, 0.0
    )
    rows = session.execute(
        select(
            shard.c.strategy,
            func.count().label("n"),
            *_sums("admitted", shard.c.admitted),
            *_sums("seconds", own, shard.c.admitted),
        )
        .join(RunShard, RunShard.id == shard.c.shard_id)
        .group_by(shard.c.strategy)
    )
    return [dict(row._mapping) for row in rows]


def count_shared_items(session: Session) -> tuple[int, int]:
    """Returns the items of which something was admitted in the round, and those of them in which
    what was admitted is not of one strategy alone."""
    found = (
        select(
            item.c.item_id,
            func.bool_or(item.c.n_alone == item.c.n_admitted_of_item).label("is_of_one"),
        )
        .where(item.c.n_admitted_of_item > 0)
        .group_by(item.c.item_id)
        .subquery()
    )
    row = session.execute(
        select(func.count(), func.count().filter(~found.c.is_of_one)).select_from(found)
    ).one()
    return row[0], row[1]


def _sums(
    name: str, value: ColumnElement[Any], other: ColumnElement[Any] | None = None
) -> list[ColumnElement[Any]]:
    """The sum of a value, of its square and, with `other`, of the products of both."""
    sums: list[ColumnElement[Any]] = [
        func.coalesce(func.sum(value), 0.0).label(name),
        func.coalesce(func.sum(value * value), 0.0).label(f"{name}_square"),
    ]
    if other is not None:
        sums.append(func.coalesce(func.sum(value * other), 0.0).label(f"{name}_product"))
    return sums


def _by_item(round_id: int) -> Subquery:
    """A row for each strategy and item that it drew for."""
    drawn = _by_text(round_id)
    is_admitted = drawn.c.is_admitted
    is_alone = is_admitted & (drawn.c.n_strategies == 1)
    words = drawn.c.words
    times = time_per_text(round_id)
    per_item = (
        select(
            drawn.c.strategy,
            drawn.c.item_id,
            func.max(drawn.c.shard_id).label("shard_id"),
            func.sum(drawn.c.n_draws).label("n_draws"),
            func.sum(drawn.c.tokens).label("tokens"),
            func.count(drawn.c.candidate_id).label("n_texts"),
            func.count().filter(drawn.c.is_shown).label("n_shown"),
            func.count().filter(is_admitted).label("n_admitted"),
            func.count().filter(is_alone).label("n_alone"),
            func.coalesce(func.sum(drawn.c.share).filter(is_admitted), 0.0).label("admitted"),
            func.avg(drawn.c.fit).label("fit"),
            func.coalesce(func.sum(words), 0.0).label("words"),
            func.coalesce(func.sum(words * words), 0.0).label("square_words"),
            func.coalesce(func.sum(drawn.c.share * times.c.ms).filter(drawn.c.is_shown), 0.0).label(
                "ms"
            ),
        )
        .outerjoin(times, times.c.item_id == drawn.c.item_id)
        .group_by(drawn.c.strategy, drawn.c.item_id)
        .subquery()
    )
    of_item = (
        select(Admission.item_id, func.count(Admission.candidate_id.distinct()).label("n"))
        .where(Admission.round_id == round_id)
        .group_by(Admission.item_id)
        .subquery()
    )
    return (
        select(per_item, func.coalesce(of_item.c.n, 0).label("n_admitted_of_item"))
        .outerjoin(of_item, of_item.c.item_id == per_item.c.item_id)
        .subquery()
    )


def _by_text(round_id: int) -> CTE:
    """A row for each strategy and text that it drew, and one for its draws without a text; with the
    words of those that people see."""
    drawn = (
        select(
            Sample.strategy,
            Sample.item_id,
            Sample.candidate_id,
            func.max(Sample.shard_id).label("shard_id"),
            func.count().label("n_draws"),
            func.coalesce(func.sum(Sample.n_tokens), 0).label("tokens"),
            func.count().over(partition_by=Sample.candidate_id).label("n_strategies"),
        )
        .join(Run, Run.id == Sample.run_id)
        .where(Run.round_id == round_id, Run.job == Job.GENERATE)
        .group_by(Sample.strategy, Sample.item_id, Sample.candidate_id)
        .subquery()
    )
    fitting = func.count().filter(VerdictRow.fits)
    votes = (
        select(
            VerdictRow.candidate_id,
            cast(2 * fitting > func.count(), Integer).label("fit"),
        )
        .join(counted_judgements, counted_judgements.id == VerdictRow.judgement_id)
        .where(VerdictRow.round_id == round_id)
        .group_by(VerdictRow.candidate_id)
        .subquery()
    )
    return (
        select(
            drawn,
            (drawn.c.n_draws / cast(func.greatest(RoundCandidate.n_draws, 1), Float)).label(
                "share"
            ),
            func.coalesce(RoundCandidate.is_shown, False).label("is_shown"),
            votes.c.fit,
            Admission.candidate_id.is_not(None).label("is_admitted"),
            case((RoundCandidate.is_shown, cast(func.count_words(Candidate.text), Float))).label(
                "words"
            ),
        )
        .outerjoin(
            RoundCandidate,
            (RoundCandidate.candidate_id == drawn.c.candidate_id)
            & (RoundCandidate.round_id == round_id),
        )
        .outerjoin(Candidate, Candidate.id == drawn.c.candidate_id)
        .outerjoin(votes, (votes.c.candidate_id == drawn.c.candidate_id) & RoundCandidate.is_shown)
        .outerjoin(
            Admission,
            (Admission.candidate_id == drawn.c.candidate_id) & (Admission.round_id == round_id),
        )
        .cte("found_text")
        # Kept as a table: words are slow to count, and would be counted for each sum of them.
        .prefix_with("MATERIALIZED")
    )
