"""Comparisons of the adapter that a round made with the one before it, blind, on test items.

1. An admin asks for one; a run samples texts of both adapters (`app/services/rounds/compared.py`).
2. They are judged among the items of the next round that people judge; or by the critic, while they
   are stored, where the compared round was judged by one.
3. What was said is measured with the evidence of the round that shows them.
"""

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.events.quality import ComparisonCancelled, ComparisonRequested
from app.kit.errors import InvalidInput
from app.kit.sentences import Amount, Sentence
from app.kit.texts import unit_hash
from app.lifecycle import LIVE_RUN, Job, RoundStatus, Split
from app.models import Comparison, Project, Round, Run, User
from app.queries.quality import comparisons as queries
from app.queries.rounds import critics as critic_queries
from app.queries.rounds import rounds as round_queries
from app.queries.runs.runs import get_run
from app.round_settings import KNOWS_SCENES, LoopSettings
from app.services.archived import require_open
from app.services.critic_verdicts import name_basis
from app.services.events import record
from app.services.refusals import NothingToCompare, NothingToRetry
from app.services.runs import runs

MOST_ITEMS = 500
"""More tells little more, and is people's time."""


def request_comparison(
    session: Session,
    round_: Round,
    *,
    n_items: int,
    strategy: str | None = None,
    actor: User | None,
) -> Comparison:
    """Choose test items by the seed, and request the run that samples both adapters on them.

    strategy: whose adapters, in a round of several; the first of those that made one, unless it is
    said. As many items as there are where fewer are left: an item is compared once, since its texts
    are known then. Raises Conflict where the project is archived, the round or the strategy made no
    adapter, there is a comparison already or no test item is left, and InvalidInput for an odd
    number and a strategy that took no part.
    """
    round_ = round_queries.lock_round(session, round_.id)
    project = session.get_one(Project, round_.project_id)
    require_open(project)
    if not 1 <= n_items <= MOST_ITEMS:
        raise InvalidInput(
            Sentence(
                "Choose a number of items from 1 to %(most)s to compare.", most=Amount(MOST_ITEMS)
            )
        )
    settings = LoopSettings.model_validate(round_.settings)
    chosen_strategy = _choose_strategy(session, round_, settings, strategy)
    free = list_free(session, round_)
    if not free:
        raise NothingToCompare(_why_none_is_free(settings))
    chosen = sorted(
        free, key=lambda item_id: unit_hash("compare", settings.seed, round_.number, item_id)
    )[:n_items]
    comparison = Comparison(
        project_id=project.id, round_id=round_.id, created_by_id=actor.id if actor else None
    )
    if not queries.add_comparison(session, comparison):
        raise NothingToCompare(
            Sentence(
                "Round %(number)s has a comparison already; cancel it to ask for another one.",
                number=round_.number,
            )
        )
    queries.insert_items(session, comparison.id, chosen)
    size = settings.sampling.items_per_shard
    run = runs.request_run(
        session,
        project_id=project.id,
        round_id=round_.id,
        job=Job.COMPARE,
        strategy=chosen_strategy,
        parameters={"comparison_id": comparison.id},
        item_blocks=[chosen[start : start + size] for start in range(0, len(chosen), size)],
        actor=actor,
    )
    comparison.run_id = run.id
    record(
        session,
        ComparisonRequested(
            n_items=len(chosen), strategy=chosen_strategy if settings.is_mixed else None
        ),
        project_id=project.id,
        round_id=round_.id,
        actor=actor,
    )
    session.flush()  # callers go on with the row
    return comparison


def list_free(session: Session, round_: Round) -> list[int]:
    """Returns the test items on which what a round made can still be compared, in order; without
    those that the critic could not judge, where one judges the round."""
    free = queries.list_free_item_ids(session, round_.project_id)
    judges = LoopSettings.model_validate(round_.settings).judging.judges
    if judges.are_people:
        return free
    lacking = set(
        critic_queries.list_lacking(
            session, round_.project_id, Split.TEST, facts=judges == KNOWS_SCENES
        )
    )
    return [item_id for item_id in free if item_id not in lacking]


def count_free(session: Session, round_: Round) -> int:
    """Returns how many such items there are."""
    if LoopSettings.model_validate(round_.settings).judging.judges.are_people:
        return queries.count_free_items(session, round_.project_id)
    return len(list_free(session, round_))


def _why_none_is_free(settings: LoopSettings) -> Sentence:
    judges = settings.judging.judges
    if judges.are_people:
        return Sentence(
            "No test item is left to compare on: each one is compared once. Import more items with "
            "the split `test`."
        )
    return Sentence(
        "No test item is left to compare on: each one is compared once, and the critic %(critic)s "
        "can judge those alone that have %(what)s. Import more of them with the split `test`.",
        critic=judges,
        what=name_basis(judges),
    )


def find_cancellable(
    session: Session, round_: Round
) -> tuple[Comparison, queries.ComparisonCounts]:
    """Returns the comparison of a round, and how far it is. Raises Conflict where there is none,
    or all of it is judged."""
    comparison = _get(session, round_)
    counts = queries.count_progress(session, comparison.id)
    run = get_run(session, comparison.run_id) if comparison.run_id else None
    is_live = run is not None and run.status in LIVE_RUN
    if not is_live and counts.n_comparable and counts.n_judged >= counts.n_comparable:
        raise NothingToCompare(
            Sentence("All items of this comparison are judged; its result stays.")
        )
    return comparison, counts


def cancel_comparison(session: Session, round_: Round, *, actor: User | None) -> None:
    """Stop the comparison of a round: its run, and handing out its items. What was said stays on
    record and counts nowhere. Raises Conflict where there is none, or all of it is judged."""
    round_ = round_queries.lock_round(session, round_.id)
    comparison, _ = find_cancellable(session, round_)
    run = get_run(session, comparison.run_id) if comparison.run_id else None
    if run is not None and run.status in LIVE_RUN:
        runs.cancel_run(session, run, actor=actor)
    queries.cancel_now(session, comparison, datetime.now(UTC))
    queries.stop_handing_out(session, comparison.id)
    queries.free_untouched_items(session, comparison.id)
    record(
        session,
        ComparisonCancelled(),
        project_id=round_.project_id,
        round_id=round_.id,
        actor=actor,
    )


def retry_comparison(session: Session, round_: Round, *, actor: User | None) -> Run:
    """Go on with the sampling of a comparison that failed, from its finished shards; returns the
    new run. Raises Conflict where there is none, or it did not fail."""
    round_ = round_queries.lock_round(session, round_.id)
    require_open(session.get_one(Project, round_.project_id))
    comparison = _get(session, round_)
    if comparison.run_id is None:
        raise NothingToRetry(Sentence("Nothing of this comparison was sampled so far."))
    run = runs.retry_run(session, get_run(session, comparison.run_id), actor=actor)
    comparison.run_id = run.id
    return run


def _get(session: Session, round_: Round) -> Comparison:
    comparison = queries.find_comparison(session, round_.id)
    if comparison is None:
        raise NothingToCompare(
            Sentence("Round %(number)s has no comparison.", number=round_.number)
        )
    return comparison


def list_comparable(session: Session, round_: Round) -> list[str]:
    """Returns the strategies of a completed round that made an adapter in it, in the order of its
    settings; each of them could be compared with what it was before."""
    if round_.status is not RoundStatus.COMPLETED:
        return []
    models = round_queries.list_round_models(session, round_.id)
    learned = {model.strategy for model in models if model.new_adapter_id is not None}
    shares = LoopSettings.model_validate(round_.settings).shares
    return [name for name in shares if name in learned]


def _choose_strategy(
    session: Session, round_: Round, settings: LoopSettings, wanted: str | None
) -> str:
    comparable = list_comparable(session, round_)
    if not comparable:
        raise NothingToCompare(
            Sentence(
                "Round %(number)s has made no adapter that could be compared with the one before.",
                number=round_.number,
            )
        )
    if wanted is None:
        return comparable[0]
    if wanted not in settings.shares:
        raise InvalidInput(
            Sentence(
                "The strategy “%(name)s” took no part in round %(number)s; those that can be "
                "compared are: %(names)s.",
                name=wanted,
                number=round_.number,
                names=", ".join(comparable),
            )
        )
    if wanted not in comparable:
        raise NothingToCompare(
            Sentence(
                "%(name)s made no adapter in round %(number)s; those that can be compared are: "
                "%(names)s.",
                name=wanted,
                number=round_.number,
                names=", ".join(comparable),
            )
        )
    return wanted
