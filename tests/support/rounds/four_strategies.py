"""Rounds of all four strategies on the demo model: their settings, and what is stored of them."""

from collections import Counter
from statistics import mean

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models import (
    Adapter,
    Admission,
    AskedImage,
    Candidate,
    Item,
    OcclusionMap,
    RoundCandidate,
    Run,
    Sample,
)

SHARES = ("direct:1", "monologue:2", "self_questioning:1", "perception:1")
DRAWS = {"direct": 2, "monologue": 4, "self_questioning": 2, "perception": 2}
"""Of the ten draws of an item, by these shares."""
N_ITEMS = 6
SETTINGS = {
    "sampling.temperatures": (0.3, 0.9),
    "sampling.items_per_shard": 4,
    "max_items": N_ITEMS,
    "judging.judges": "exact",
    "judging.max_shown": 9,
    "training.epochs": 6,
    "training.batch_size": 8,
    "training.replay_ratio": 1.0,
    "perception.alignment_steps": 30,
    "self_questioning.probe_questions": 2,
    "evaluation.max_items": 4,
    "evaluation.meteor": False,
    "stop.accuracy_floor": 0.0,
}
"""Enough for each of them to learn what it says a text with, and no more."""


def assert_all_drew_their_share(session: Session, round_id: int) -> None:
    """Each made its share of the draws of each item and came to texts that are shown, those that
    leave a trace left one, and the one that asks about images did."""
    drawn = session.scalars(
        select(Sample).join(Run, Run.id == Sample.run_id).where(Run.round_id == round_id)
    ).all()
    by_item = {draw.item_id: Counter[str]() for draw in drawn}
    for draw in drawn:
        by_item[draw.item_id][draw.strategy] += 1
    assert list(by_item.values()) == [DRAWS] * N_ITEMS
    shown = set(
        session.scalars(
            select(RoundCandidate.candidate_id).where(
                RoundCandidate.round_id == round_id, RoundCandidate.is_shown
            )
        )
    )
    assert {draw.strategy for draw in drawn if draw.candidate_id in shown} == set(DRAWS)
    traced = {(draw.trace["kind"], draw.strategy) for draw in drawn if draw.trace}
    assert traced == {(name, name) for name in DRAWS if name != "direct"}
    assert all(draw.adapter_id for draw in drawn), "all of them have learned"
    assert session.scalar(select(func.count()).select_from(OcclusionMap))
    asked = select(func.count()).where(AskedImage.round_id == round_id)
    assert session.scalar(asked) == len(by_item), "images of what was sampled"


def mean_words(session: Session, round_id: int) -> dict[str, float]:
    """Returns, by strategy, how many words its shown texts have on the average."""
    shown = session.execute(
        select(Sample.strategy, Candidate.text)
        .join(Candidate, Candidate.id == Sample.candidate_id)
        .join(RoundCandidate, RoundCandidate.candidate_id == Candidate.id)
        .join(Run, Run.id == Sample.run_id)
        .where(Run.round_id == round_id, RoundCandidate.round_id == round_id)
        .where(RoundCandidate.is_shown)
        .group_by(Sample.strategy, Candidate.id)
    ).all()
    return {name: mean(len(text.split()) for by, text in shown if by == name) for name in DRAWS}


def count_draws_of_admitted(session: Session) -> Counter[tuple[str, str, str, str | None]]:
    """Returns how often each admitted text was drawn by whom: item, text, strategy, adapter."""
    return Counter(
        (item, text, strategy, digest)
        for item, text, strategy, digest in session.execute(
            select(Item.external_id, Candidate.text, Sample.strategy, Adapter.digest)
            .join(Candidate, Candidate.id == Sample.candidate_id)
            .join(Item, Item.id == Candidate.item_id)
            .join(Run, Run.id == Sample.run_id)
            .outerjoin(Adapter, Adapter.id == Sample.adapter_id)
            .where(Candidate.id.in_(select(Admission.candidate_id)))
        )
    )


def count_draws(
    session: Session, round_id: int, candidate_ids: list[int]
) -> Counter[tuple[int, str]]:
    """Returns how often each of these candidates was drawn in a round, by strategy."""
    return Counter(
        (candidate_id, strategy)
        for candidate_id, strategy in session.execute(
            select(Sample.candidate_id, Sample.strategy)
            .join(Run, Run.id == Sample.run_id)
            .where(Run.round_id == round_id, Sample.candidate_id.in_(candidate_ids))
        )
        if candidate_id is not None
    )


def list_new_keys(session: Session, round_id: int, candidate_ids: list[int]) -> list[str]:
    """Returns the keys of the candidates among these that no round before drew, in the order of
    their numbers."""
    drawn_before = (
        select(Sample.candidate_id)
        .join(Run, Run.id == Sample.run_id)
        .where(Run.round_id < round_id, Sample.candidate_id.is_not(None))
    )
    return list(
        session.scalars(
            select(Candidate.text_key)
            .where(Candidate.id.in_(candidate_ids), Candidate.id.not_in(drawn_before))
            .order_by(Candidate.id)
        )
    )
