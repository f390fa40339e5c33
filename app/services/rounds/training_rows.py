"""The manifest of a training run: every row the trainer reads, written before it starts."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from sqlalchemy.orm import Session

from app.kit.texts import unit_hash
from app.lifecycle import AuthorKind, Job
from app.models import Round, Run, User
from app.queries.rounds import manifest as queries
from app.queries.rounds.candidates import store_candidates
from app.queries.rounds.item_ranges import ItemRange
from app.queries.rounds.manifest import PlannedRow
from app.queries.rounds.rewards import (
    insert_boxes,
    insert_untaught,
    list_boxed_items,
    list_said_of_looks,
)
from app.queries.rounds.rounds import get_round_model
from app.queries.rounds.training_items import list_manifest_looks
from app.round_settings import LoopSettings
from app.same_text import text_key
from app.services.runs import runs
from app.strategies import get_strategy
from app.strategies.monologue import OBSERVATION_MARK, QUESTION_MARK
from app.unwanted_looks import find_unwanted


def plan_trainings(
    session: Session,
    round_: Round,
    settings: LoopSettings,
    *,
    actor: User | None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Run]:
    """Plan one training for each role of each strategy of the round, those that sit out among them;
    returns their runs, none where there is no rationale to train on."""
    planned = (
        plan_training(
            session, round_, settings, strategy, role, actor=actor, on_progress=on_progress
        )
        for strategy in settings.shares
        for role in get_strategy(strategy).roles
    )
    return [run for run in planned if run is not None]


def plan_training(
    session: Session,
    round_: Round,
    settings: LoopSettings,
    strategy: str,
    role: str,
    *,
    actor: User | None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Run | None:
    """Request the training of one role of a strategy and write what it is to read; returns its run.

    Returns None, and requests nothing, where there is no rationale to train on.

    The rows are those with a rationale, items in order, and answer-only rows that keep the model
    answering. The balance b is (#answer-only rows) / (#rationale rows) as in the published method,
    within [1, max_balance]: with fewer answer-only rows than rationales, a b under 1 would mute the
    very rationales that people picked. Boxes that people drew about these items stand beside them
    where the training reads them, and what the role does not learn of their looks.
    """
    ranges = queries.list_train_ranges(session, round_.project_id)
    n_all = sum(range_.size for range_ in ranges)
    n_done = n_rationales = n_written = n_prior = 0
    untaught: Counter[str] = Counter()
    run: Run | None = None
    for range_ in ranges:
        on_progress(n_done, n_all)
        rows = list_rationale_rows(session, round_, settings, range_, strategy)
        if rows and run is None:
            run = _request(session, round_, strategy, role, actor)
        if run is not None:
            queries.insert_rationale_rows(session, run.id, rows)
            untaught += _leave_out_unwanted(session, settings, run, range_)
        n_done += range_.size
        n_rationales += len(rows)
        n_written += sum(row.judgement_id is not None for row in rows)
        n_prior += sum(row.episode_id is not None for row in rows)
    if run is None:
        return None
    wanted = round(settings.training.replay_ratio * n_rationales)
    reads_boxes = _reads_boxes(session, round_, settings, strategy, role)
    boxed = list_boxed_items(session, round_.project_id) if reads_boxes else frozenset()
    n_replay = _add_answer_only_rows(session, round_, settings, run, ranges, wanted, boxed)
    n_boxes = insert_boxes(session, run.id) if boxed else 0
    run.parameters = {
        "n_rationale_rows": n_rationales,
        "n_written_rows": n_written,
        # Said where there are some, so that other trainings are described as they always were.
        **({"n_prior_rows": n_prior} if n_prior else {}),
        **({"n_boxes": n_boxes} if n_boxes else {}),
        **untaught,
        "n_answer_only_rows": n_replay,
        "balance": min(max(n_replay / n_rationales, 1.0), settings.training.max_balance),
    }
    return run


def list_rationale_rows(
    session: Session, round_: Round, settings: LoopSettings, range_: ItemRange, strategy: str
) -> list[PlannedRow]:
    """Returns what a training of a strategy reads of some items, items in order: what is admitted
    so far (or gold, or the prior alone), and, where the settings say so, what people wrote and the
    prior. Of several strategies each reads what is admitted of all, unless the settings leave it
    what it drew itself."""
    rows: list[PlannedRow] = []
    drawn_by = strategy if settings.is_mixed and settings.training.learns_from == "own" else None
    if settings.training.source == "gold":
        pairs = _add_gold_candidates(session, round_.project_id, range_)
        rows += [PlannedRow(item_id, candidate_id) for item_id, candidate_id in pairs]
    elif settings.training.source == "admitted":
        admitted = queries.list_admitted(session, round_.project_id, range_, drawn_by=drawn_by)
        rows += [PlannedRow(row.item_id, row.candidate_id) for row in admitted]
    if settings.training.written:
        written = queries.list_written(
            session, round_.project_id, round_.id, range_, drawn_by=drawn_by
        )
        rows += [
            PlannedRow(item_id, judgement_id=judgement_id, mended_id=mended_id)
            for item_id, judgement_id, mended_id in sorted(tuple(row) for row in written)
        ]
    if learns_from_prior(settings, strategy):
        rows += [
            PlannedRow(item_id, episode_id=episode_id)
            for item_id, episode_id in queries.list_prior(session, round_.project_id, range_)
        ]
    return sorted(rows, key=lambda row: row.item_id)


def learns_from_prior(settings: LoopSettings, strategy: str) -> bool:
    """Whether trainings of a strategy by these settings read the project's prior."""
    if settings.training.source == "admitted":
        is_wanted = settings.monologue.with_prior
    else:
        is_wanted = settings.training.source == "prior"
    return is_wanted and get_strategy(strategy).learns_from_prior


def count_written(session: Session, round_: Round, settings: LoopSettings) -> int:
    """Returns how many corrected texts a training of this round would read."""
    if not settings.training.written:
        return 0
    return queries.count_written(session, round_.project_id, round_.id)


def _leave_out_unwanted(
    session: Session, settings: LoopSettings, run: Run, range_: ItemRange
) -> Counter[str]:
    """Note in the manifest which words of the role about some items people do not want, as they say
    now; returns how many. Of an observer these are observations that they found untrue, where the
    settings want that with what they see instead; of a role that asks, useless questions, where the
    settings want it to ask them less."""
    strategy = get_strategy(run.strategy or "")
    if run.role == strategy.looking_role:
        return _leave_out_untrue(session, settings, run, range_)
    if run.role == strategy.asking_role and settings.monologue.unwanted_weight:
        return _leave_out_useless(session, run, range_)
    return Counter()


def _leave_out_untrue(
    session: Session, settings: LoopSettings, run: Run, range_: ItemRange
) -> Counter[str]:
    untrue = find_unwanted(list_said_of_looks(session, run.id, range_, OBSERVATION_MARK))
    read = list_manifest_looks(session, run.id, {look.said.item_id for look in untrue})
    teaches = settings.training.source == "admitted" and settings.monologue.with_corrections
    untaught = [
        look if teaches else replace(look, corrected=None)
        for look in untrue
        if look.said.look in read
    ]
    insert_untaught(session, run.id, untaught)
    n_corrected = sum(look.corrected is not None for look in untaught)
    return +Counter(n_untaught_looks=len(untaught), n_corrected_looks=n_corrected)


def _leave_out_useless(session: Session, run: Run, range_: ItemRange) -> Counter[str]:
    useless = find_unwanted(list_said_of_looks(session, run.id, range_, QUESTION_MARK))
    looks = list_manifest_looks(session, run.id, {look.said.item_id for look in useless})
    read = {(item_id, asked) for item_id, asked, _ in looks}
    untaught = [look for look in useless if look.said.look[:2] in read]
    insert_untaught(session, run.id, untaught)
    return +Counter(n_useless_questions=len(untaught))


def _request(session: Session, round_: Round, strategy: str, role: str, actor: User | None) -> Run:
    return runs.request_run(
        session,
        project_id=round_.project_id,
        round_id=round_.id,
        job=Job.TRAIN,
        strategy=strategy,
        role=role,
        actor=actor,
    )


def _add_answer_only_rows(  # noqa: PLR0917 - all that the choice depends on
    session: Session,
    round_: Round,
    settings: LoopSettings,
    run: Run,
    ranges: list[ItemRange],
    wanted: int,
    boxed: frozenset[int],
) -> int:
    """Add items without a rationale, chosen by seed and round; returns how many there were. Those
    with boxes that are read come first: people draw them where a rationale did not fit."""
    if wanted == 0:
        return 0
    queries.begin_choice(session)
    for range_ in ranges:
        item_ids = queries.list_unexplained(session, round_.project_id, run.id, range_)
        places = [
            unit_hash("replay", settings.seed, round_.number, id_) - (id_ in boxed)
            for id_ in item_ids
        ]
        queries.add_to_choice(session, item_ids, places)
    return queries.insert_chosen(session, run.id, wanted)


def _reads_boxes(
    session: Session, round_: Round, settings: LoopSettings, strategy: str, role: str
) -> bool:
    if not get_strategy(strategy).draws_boxes:
        return False
    parent = get_round_model(session, round_.id, strategy=strategy, role=role).parent_adapter_id
    is_fresh = parent is None or settings.training.start == "restart"
    return settings.perception.reads_boxes(is_fresh=is_fresh)


def _add_gold_candidates(
    session: Session, project_id: int, range_: ItemRange
) -> list[tuple[int, int]]:
    """Store the gold rationales of train items as candidates of their own kind."""
    texts = {
        (item_id, text_key(text)): text
        for item_id, text in queries.list_gold_texts(session, project_id, range_)
    }
    ids = store_candidates(session, texts, AuthorKind.GOLD)
    return sorted((item_id, candidate_id) for (item_id, _), candidate_id in ids.items())
