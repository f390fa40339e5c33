"""A critic as the annotator of a round: the same rows as people's, of a kind of their own."""

import random
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from app.critics import get_critic
from app.kit.sentences import Sentence
from app.lifecycle import JudgementStatus, UserKind
from app.models import Round, RoundItem, User
from app.queries.rounds import critics as queries
from app.queries.rounds.candidates import list_round_candidates
from app.round_settings import LoopSettings
from app.run_results import CriticFigures
from app.services.critic_verdicts import ask_critic
from app.services.judging.settling import set_aside


@dataclass
class Judged:
    """A critic's word on one candidate."""

    item_id: int
    candidate_id: int
    is_shown: bool
    n_draws: int
    fits: bool
    fault: str | None


def critic_user(session: Session, name: str) -> User:
    """Returns the account under which a critic's verdicts are kept; nobody can sign in with it."""
    return queries.get_critic_user(session, f"critic {name}")


def judge_round(session: Session, round_: Round) -> CriticFigures:
    """Judge all shown candidates of a round with its critic; returns figures over all draws. An
    item that it cannot judge after all is set aside, and is no part of them.

    The critic looks at candidates that are not shown too, for the share of draws that fit, but only
    shown ones get verdicts: what was not shown cannot be admitted, for people and critics alike.
    """
    settings = LoopSettings.model_validate(round_.settings)
    judged, unjudged = _ask_critic(session, round_, settings)
    figures = _count(judged)
    if settings.judging.control == "permuted":
        _permute(judged, seed=f"{settings.seed}/{round_.number}")
    _store(session, round_, settings, judged)
    # Items that lack what it judges by were left out; these have it, and it cannot make sense of
    # it. Nobody else judges the round, so it would wait for them for ever.
    for round_item in queries.list_open(session, round_.id, unjudged):
        set_aside(round_item, cannot_judge(settings.judging.judges))
    return figures


def cannot_judge(critic: str) -> Sentence:
    """Returns why an item was set aside that the critic of its round could not judge."""
    return Sentence(
        "The critic %(critic)s, which judges the round, cannot judge it.", critic=critic
    )


def _ask_critic(
    session: Session, round_: Round, settings: LoopSettings
) -> tuple[list[Judged], list[int]]:
    """Returns the critic's verdict on each candidate, and the items that it cannot judge."""
    critic = get_critic(settings.judging.judges)
    by_item: dict[int, list[Judged]] = defaultdict(list)
    texts: dict[int, str] = {}
    for item_id, candidate_id, text, is_shown, n_draws in list_round_candidates(session, round_.id):
        by_item[item_id].append(
            Judged(item_id, candidate_id, is_shown, n_draws, fits=False, fault=None)
        )
        texts[candidate_id] = text
    unjudged = []
    for item in queries.list_items(session, list(by_item)):
        entries = by_item[item.id]
        verdicts = ask_critic(critic, item, [texts[entry.candidate_id] for entry in entries])
        if verdicts is None:
            unjudged.append(item.id)
            del by_item[item.id]
            continue
        for entry, verdict in zip(entries, verdicts, strict=True):
            entry.fits = verdict.fits
            entry.fault = verdict.fault.value if verdict.fault else None
    return [entry for entries in by_item.values() for entry in entries], unjudged


def _count(judged: list[Judged]) -> CriticFigures:
    faults: dict[str, int] = defaultdict(int)
    for entry in judged:
        if entry.fault:
            faults[entry.fault] += entry.n_draws
    return CriticFigures(
        draws=sum(entry.n_draws for entry in judged),
        fitting_draws=sum(entry.n_draws for entry in judged if entry.fits),
        candidates=len(judged),
        fitting_candidates=sum(entry.fits for entry in judged),
        items=len({entry.item_id for entry in judged}),
        items_with_fit=len({entry.item_id for entry in judged if entry.fits}),
        faults=dict(sorted(faults.items())),
    )


def _permute(judged: list[Judged], *, seed: str) -> None:
    """Hand the verdicts of the shown candidates out anew, at random: the same number fits."""
    shown = [entry for entry in judged if entry.is_shown]
    verdicts = [(entry.fits, entry.fault) for entry in shown]
    random.Random(seed).shuffle(verdicts)  # noqa: S311 - a control, not a secret
    for entry, (fits, fault) in zip(shown, verdicts, strict=True):
        entry.fits, entry.fault = fits, fault


def _store(session: Session, round_: Round, settings: LoopSettings, judged: list[Judged]) -> None:
    """One submitted judgement per open item; repeating it adds nothing."""
    user = critic_user(session, settings.judging.judges)
    shown: dict[int, list[Judged]] = defaultdict(list)
    for entry in judged:
        if entry.is_shown:
            shown[entry.item_id].append(entry)
    open_items = queries.list_unjudged(session, round_.id, user.id, shown)
    if not open_items:
        return
    judgement_ids = queries.insert_judgements(
        session,
        [_judgement_row(round_item, user, shown[round_item.item_id]) for round_item in open_items],
    )
    queries.insert_verdicts(
        session,
        [
            {
                "judgement_id": judgement_ids[round_item.id],
                "candidate_id": entry.candidate_id,
                "round_id": round_.id,
                "none_fits": not any(other.fits for other in shown[round_item.item_id]),
                "answer_is_wrong": False,
                "fits": entry.fits,
                "position": position,
                "faults": [entry.fault] if entry.fault else [],
            }
            for round_item in open_items
            for position, entry in enumerate(shown[round_item.item_id], start=1)
        ],
    )
    queries.finish_items(session, [round_item.id for round_item in open_items])


def _judgement_row(round_item: RoundItem, user: User, entries: list[Judged]) -> dict[str, Any]:
    picked = [entry.candidate_id for entry in entries if entry.fits]
    return {
        "round_item_id": round_item.id,
        "round_id": round_item.round_id,
        "user_id": user.id,
        "user_kind": UserKind.CRITIC,
        "status": JudgementStatus.SUBMITTED,
        "slot": None,
        "max_slots": round_item.max_slots,
        "version": 1,
        "shown_order": [entry.candidate_id for entry in entries],
        "picked": picked,
        "none_fits": not picked,
        "submitted_at": datetime.now(UTC),
    }
