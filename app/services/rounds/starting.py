"""A round starts: its items are put in, and its first runs are requested."""

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy.orm import Session

from app.kit.sentences import Amount, Sentence
from app.kit.texts import unit_hash
from app.lifecycle import (
    Job,
    Purpose,
    RoundItemState,
    RoundStatus,
    Split,
)
from app.models import Round, User
from app.queries.dataset.pictures import count_alone
from app.queries.dataset.prior import count_prior
from app.queries.rounds import candidates as candidate_queries
from app.queries.rounds import critics as critic_queries
from app.queries.rounds import round_items as item_queries
from app.queries.rounds import rounds as queries
from app.round_settings import KNOWS_SCENES, LoopSettings
from app.services.critic_verdicts import name_basis, tell_unjudged
from app.services.dataset.alone import list_askable
from app.services.quality.anchors import find_serving, put_anchors_in
from app.services.quality.check_places import put_checks_in
from app.services.quality.comparison_places import put_comparisons_in
from app.services.refusals import RoundEmpty, RoundNotDraft
from app.services.round_status import advance
from app.services.rounds.rounds import settings_of
from app.services.rounds.training_rows import plan_trainings
from app.services.runs import runs
from app.strategies import get_strategy

Key = TypeVar("Key", int, str)

_NOTHING_TO_TRAIN_ON = {
    "gold": Sentence(
        "There is nothing to train on: no rationale is admitted (or, with the source `gold`, no "
        "train item came with one)."
    ),
    "prior": Sentence(
        "There is nothing to train on: the items of all episodes of the prior are excluded, set "
        "aside or reworded. Import the prior again."
    ),
}
"""By what a round was to train on without sampling."""


def start_round(session: Session, round_: Round, *, actor: User | None) -> None:
    """Put the items in and request the first runs: a baseline where none is, then sampling.

    A round on gold rationales, or on the prior, has nothing to sample or to judge, and requests its
    training. Raises Conflict when the round was started already, or is over, and InvalidInput when
    there is nothing to sample or to train on, or its strategy cannot learn from the prior.
    """
    round_ = queries.lock_round(session, round_.id)
    if round_.status is not RoundStatus.DRAFT:
        raise RoundNotDraft(
            Sentence(
                "Round %(number)s is %(status)s; only a draft can be started.",
                number=round_.number,
                status=round_.status,
            )
        )
    settings = settings_of(round_)
    if settings.training.waits_for_nobody:
        _start_training(session, round_, settings, actor)
        return
    item_ids = _add_items(session, round_, settings)
    images = _choose_images(session, round_, settings)
    if not item_ids and not images:
        raise RoundEmpty(why_empty(session, round_.project_id, settings))
    advance(session, round_, RoundStatus.GENERATING, actor=actor)
    runs.request_run(
        session,
        project_id=round_.project_id,
        round_id=round_.id,
        job=Job.GENERATE,
        # A mixed round is sampled by one run: an item opens with what all its strategies drew.
        strategy=None if settings.is_mixed else settings.strategy,
        item_blocks=split_into_blocks(item_ids, settings.sampling.items_per_shard),
        image_blocks=split_into_blocks(images, settings.sampling.items_per_shard),
        actor=actor,
    )
    # After sampling in the queue: people wait for candidates, nobody waits for the baseline yet.
    request_baseline(session, round_, settings, actor)


def find_prior_fault(session: Session, project_id: int, settings: LoopSettings) -> Sentence | None:
    """Returns why a round by these settings cannot train on the prior alone; None where it can, or
    is not to."""
    if settings.training.source != "prior":
        return None
    if not any(get_strategy(name).learns_from_prior for name in settings.shares):
        return Sentence(
            "The strategy %(strategy)s learns nothing from a prior: choose another strategy, or "
            "train on admitted rationales (training.source).",
            strategy=", ".join(settings.shares),
        )
    if not count_prior(session, project_id).n_episodes:
        return Sentence(
            "There is no prior to train on: import one with illume prior import, or train on "
            "admitted rationales (training.source)."
        )
    return None


def find_unjudged(session: Session, project_id: int, settings: LoopSettings) -> Sentence | None:
    """Returns of how many held-out items the critic of the evaluations can tell the fit; None where
    it can of all, or there are none."""
    critic = settings.evaluation.critic
    n_lacking, n_items = critic_queries.count_lacking(
        session, project_id, (Split.VALIDATION, Split.TEST), facts=critic == KNOWS_SCENES
    )
    return tell_unjudged(critic, n_judged=n_items - n_lacking, n_items=n_items)


def find_left_out(session: Session, project_id: int, settings: LoopSettings) -> Sentence | None:
    """Returns how many train items a round leaves out, since the critic that judges it could not
    judge them; None where people judge, or it could judge all."""
    n_lacking, n_items = count_left_out(session, project_id, settings)
    if not n_lacking:
        return None
    critic = settings.judging.judges
    return Sentence(
        "%(n)s of %(all)s train items are left out: the critic %(critic)s judges by %(what)s, and "
        "they are without. They stay for other judges.",
        n=Amount(n_lacking),
        all=Amount(n_items),
        critic=critic,
        what=name_basis(critic),
    )


def count_left_out(session: Session, project_id: int, settings: LoopSettings) -> tuple[int, int]:
    """Returns how many usable train items the critic of a round could not judge, and how many
    there are; none where people judge."""
    critic = settings.judging.judges
    if critic.are_people or settings.training.waits_for_nobody:
        return 0, 0
    by_facts = critic == KNOWS_SCENES
    return critic_queries.count_lacking(session, project_id, (Split.TRAIN,), facts=by_facts)


def _start_training(
    session: Session, round_: Round, settings: LoopSettings, actor: User | None
) -> None:
    fault = find_prior_fault(session, round_.project_id, settings)
    if fault is not None:
        raise RoundEmpty(fault)
    request_baseline(session, round_, settings, actor)
    if not plan_trainings(session, round_, settings, actor=actor):
        raise RoundEmpty(_NOTHING_TO_TRAIN_ON[settings.training.source])
    advance(session, round_, RoundStatus.TRAINING, actor=actor)


def _add_items(session: Session, round_: Round, settings: LoopSettings) -> list[int]:
    """Put the usable train items in; those with enough rationales rest, but for a control.

    One that serves as an anchor is not sampled: nobody shall see it twice in a round.
    """
    usable = _list_usable(session, round_.project_id, settings)
    anchors = find_serving(session, round_, settings, frozenset(usable))
    anchored = {anchor.item_id for anchor in anchors}
    usable = [item_id for item_id in usable if item_id not in anchored]
    n_admitted = candidate_queries.count_admitted_per_item(session, round_.project_id)

    def rests(item_id: int) -> bool:
        # The control is fixed: the same items in every round, so that rounds can be compared.
        is_control = unit_hash("control", settings.seed, item_id) < settings.rest_control_share
        return n_admitted.get(item_id, 0) >= settings.rest_after and not is_control

    resting = [item_id for item_id in usable if rests(item_id)]
    sampled = sorted(
        set(usable) - set(resting),
        key=lambda item_id: unit_hash("order", settings.seed, round_.id, item_id),
    )
    # Items without any rationale come first where a round takes only some.
    sampled.sort(key=lambda item_id: n_admitted.get(item_id, 0) > 0)
    chosen = sorted(sampled[: settings.max_items])
    rows = [
        {
            "round_id": round_.id,
            "project_id": round_.project_id,
            "item_id": item_id,
            "split": Split.TRAIN,
            "purpose": Purpose.TRAINING,
            "state": state,
            "slots": settings.judging.overlap,
            "max_slots": settings.judging.most_slots,
            "taken_weight": float(settings.judging.order == "fewest_first"),
            "random_key": unit_hash("queue", round_.order_key, item_id),
        }
        for state, ids in ((RoundItemState.WAITING, chosen), (RoundItemState.RESTING, resting))
        for item_id in ids
    ]
    item_queries.insert_round_items(session, rows)
    put_checks_in(session, round_, settings.judging)
    put_anchors_in(session, round_, settings, anchors)
    put_comparisons_in(session, round_)
    return chosen


def _list_usable(session: Session, project_id: int, settings: LoopSettings) -> list[int]:
    """The usable train items, without those that the critic of the round could not judge."""
    usable = queries.list_train_item_ids(session, project_id)
    critic = settings.judging.judges
    if critic.are_people:
        return usable
    by_facts = critic == KNOWS_SCENES
    lacking = set(critic_queries.list_lacking(session, project_id, Split.TRAIN, facts=by_facts))
    return [item_id for item_id in usable if item_id not in lacking]


def _choose_images(session: Session, round_: Round, settings: LoopSettings) -> list[str]:
    """The train images that nobody has asked about, where the round's model is to ask about them:
    as many as a round takes items at most."""
    models = queries.list_round_models(session, round_.id)
    learned = {one.strategy for one in models if one.parent_adapter_id is not None}
    images = list_askable(session, round_.project_id, settings, learned=learned)
    images.sort(key=lambda image: unit_hash("ask", settings.seed, round_.number, image))
    return sorted(images[: settings.max_items])


def why_empty(session: Session, project_id: int, settings: LoopSettings) -> Sentence:
    """Returns why a round by these settings has nothing to sample, and what to do."""
    n_lacking, n_items = count_left_out(session, project_id, settings)
    if n_items and n_lacking == n_items:
        return Sentence(
            "There is nothing to sample: the critic %(critic)s judges by %(what)s, and no train "
            "item has that. Add what is missing, or choose another judge (judging.judges).",
            critic=settings.judging.judges,
            what=name_basis(settings.judging.judges),
        )
    if not count_alone(session, project_id).get(Split.TRAIN):
        return Sentence(
            "There is nothing to sample: no train item is left that is neither excluded nor "
            "resting. Import items with the split `train`, or raise `rest_after`."
        )
    if not any(get_strategy(name).asks_about_images for name in settings.shares):
        return Sentence(
            "There is nothing to sample: the train images have no questions. Choose the strategy "
            "self_questioning, which asks about them, or import questions and answers."
        )
    if not settings.self_questioning.ask_untaught:
        return Sentence(
            "There is nothing to sample: the model has not learned to ask yet, and no train item "
            "could teach it. Import some questions and answers, or let it ask all the same "
            "(self_questioning.ask_untaught)."
        )
    return Sentence(
        "There is nothing to ask: of each train image as many questions wait for a decision as it "
        "may have. Decide on them, raise `self_questioning.max_per_image`, or import questions and "
        "answers."
    )


def request_baseline(
    session: Session, round_: Round, settings: LoopSettings, actor: User | None
) -> None:
    """Evaluate the base model itself once per project and base model, before anything is tuned."""
    if queries.has_baseline(session, round_.project_id, settings):
        return
    blocks = held_out_blocks(session, round_, settings, with_test=True)
    if blocks:
        runs.request_run(
            session,
            project_id=round_.project_id,
            round_id=round_.id,
            job=Job.BASELINE,
            parameters={"base_model": settings.base_model, "revision": settings.revision},
            item_blocks=blocks,
            actor=actor,
        )


def held_out_blocks(
    session: Session, round_: Round, settings: LoopSettings, *, with_test: bool
) -> list[Sequence[int]]:
    """Returns blocks of held-out items: each in one split, several times the size of sampling's."""
    blocks: list[Sequence[int]] = []
    size = settings.sampling.items_per_shard * 4
    for split in (Split.VALIDATION, Split.TEST) if with_test else (Split.VALIDATION,):
        item_ids = queries.list_usable_item_ids(session, round_.project_id, split)
        if settings.evaluation.max_items is not None:
            item_ids = sorted(item_ids, key=lambda id_: unit_hash("evaluate", id_))
            item_ids = sorted(item_ids[: settings.evaluation.max_items])
        blocks += split_into_blocks(item_ids, size)
    return blocks


def split_into_blocks(keys: Sequence[Key], size: int) -> list[Sequence[Key]]:
    """Returns keys cut into blocks of `size`; the last one may be shorter."""
    return [keys[start : start + size] for start in range(0, len(keys), size)]
