"""One cell of `benchmarks.crowd --train`: rounds of the demo that a simulated crowd judges.

The rule was written down before any seed was run:

- The demo's loop as `illume loop --demo` runs it, on freshly rendered scenes, with the crowd of
  crowd.py in the place of the critic: three of eleven people per item, 5 % of the good ones'
  verdicts flipped. The policy under test decides what is trained on; all else is the same, also the
  first round's candidates and what is said of them. No round ends the loop early.
- The figure is the share of held-out test items whose rationale fits, as the exact critic says,
  after the last round; over seeds as the difference to majority on the same seed, with Student's
  interval of 95 %. Where it lies above 0, Dawid–Skene is better, below 0 worse; else no difference
  was found. What counts is Dawid–Skene at 0.9, the default; at 0.5 is told beside it.

Nothing runs beside the loop: services of its own, and this process does what workers do.
"""

import os
import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.cli.demo.demo import Sizes, create_demo_project
from app.cli.loop.loop import collect
from app.critics import CriticItem, get_critic
from app.embedded import embedded_services
from app.kit.db import forget_engine, session_scope
from app.kit.schema_upgrade import migrate
from app.lifecycle import LIVE_RUN, JudgementStatus, RoundStatus, UserKind
from app.models import Admission, Project, Round, RoundItem, Run, User
from app.queries.rounds import critics as queries
from app.queries.rounds.candidates import list_round_candidates
from app.queries.rounds.rounds import find_last_round
from app.round_settings import LoopSettings
from app.services.accounts.accounts import add_user
from app.services.judging.ending import end_judging
from app.services.rounds.rounds import create_round
from app.services.rounds.starting import start_round
from benchmarks.support.cells import Config, Result
from benchmarks.support.crowd import FIRST, N_PEOPLE, say
from worker.host.execute import execute
from worker.host.heart import Heart

POLICIES: dict[str, dict[str, Any]] = {
    "majority": {"policy": "majority"},
    "Dawid–Skene at 0.9": {"policy": "dawid_skene", "probability": 0.9},
    "Dawid–Skene at 0.5": {"policy": "dawid_skene", "probability": 0.5},
}
SLUG = "crowd"

Fits = dict[int, bool]
"""Whether a candidate fits, by its id."""


def run_loop(config: Config) -> Result:
    """Returns test fit of the base model and after each round, and what was admitted in it.

    config: seed, policy (a name of POLICIES), rounds, scenes, overlap, noise.
    """
    with _services():
        torch.set_num_threads(1)
        with session_scope() as session:
            project = _make_project(session, config)
            people = _make_people(session)
        heart = Heart(["cpu", "gpu"], "cpu")
        heart.beat()
        fits: dict[int, Fits] = {}
        while True:
            _work(heart)
            with session_scope() as session:
                round_ = find_last_round(session, project.id)
                assert round_ is not None
                if round_.status is not RoundStatus.JUDGING:
                    break
                fits[round_.id] = _judge(session, round_, people, config)
                end_judging(session, round_, actor=None)
        admitted = [_count_admitted(round_id, known) for round_id, known in fits.items()]
        return {"admitted": admitted} | _read_scores(project)


@contextmanager
def _services() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as name, embedded_services(Path(name)) as services:
        os.environ.update(  # noqa: TID251 - settings are read after this
            ILLUME_HOME=name,
            DATABASE_URL=services.database_url or "",
            REDIS_URL=services.redis_url or "",
        )
        migrate()
        try:
            yield
        finally:
            forget_engine()


def _make_project(session: Session, config: Config) -> Project:
    """A project of scenes whose first round has begun."""
    scenes, seed = config["scenes"], config["seed"]
    sizes = Sizes(scenes, scenes // 2, scenes * 3 // 2)
    project = create_demo_project(session, name=SLUG, seed=seed, sizes=sizes)
    settings = LoopSettings.model_validate(project.settings).model_dump()
    settings["judging"] |= {"overlap": config["overlap"]}
    settings["admission"] |= POLICIES[config["policy"]]
    settings["evaluation"] |= {"blank_image": "never", "meteor": False}
    settings["stop"] |= {
        "round_limit": config["rounds"], "patience": 100, "accuracy_floor": 0.0,
        "enough_covered": 1.0,
    }  # fmt: skip
    # Nobody answers the last item: the crowd has no last answer, and its end is asked for.
    settings["auto_advance"], settings["auto_continue"] = False, True
    first = create_round(
        session, project, settings=LoopSettings.model_validate(settings), actor=None
    )
    start_round(session, first, actor=None)
    return project


def _make_people(session: Session) -> list[User]:
    return [add_user(session, name=f"person-{number}") for number in range(N_PEOPLE)]


def _work(heart: Heart) -> None:
    """Do what is requested, oldest first, until nothing is."""
    oldest = select(Run.id).where(Run.status.in_(LIVE_RUN)).order_by(Run.id).limit(1)
    while True:
        with session_scope() as session:
            run_id = session.scalar(oldest)
        if run_id is None:
            return
        execute(run_id, heart)


def _judge(session: Session, round_: Round, people: list[User], config: Config) -> Fits:
    """Let the crowd judge all open items of a round; returns what fits of all that was shown."""
    fits = _ask_critic(session, round_.id)
    open_items = queries.list_unjudged(session, round_.id, people[0].id, fits)
    said: list[tuple[RoundItem, User, dict[int, bool]]] = []
    for place in open_items:
        # Of the item, not of the order in which it is met: with another policy the same is said.
        rng = random.Random(f"{config['seed']}/{round_.number}/{place.item_id}")
        for number in rng.sample(range(N_PEOPLE), config["overlap"]):
            said.append((place, people[number], _say(number, fits[place.item_id], config, rng)))
    _store(session, said)
    queries.finish_items(session, [place.id for place in open_items])
    return {candidate: fit for shown in fits.values() for candidate, fit in shown.items()}


def _ask_critic(session: Session, round_id: int) -> dict[int, Fits]:
    """Returns what fits of the shown candidates of each item."""
    texts: dict[int, dict[int, str]] = defaultdict(dict)
    for item_id, candidate_id, text, is_shown, _ in list_round_candidates(session, round_id):
        if is_shown:
            texts[item_id][candidate_id] = text
    critic = get_critic("exact")
    found: dict[int, Fits] = {}
    for item in queries.list_items(session, texts):
        asked = CriticItem(question=item.question, answer=item.answer, facts=item.facts)
        verdicts = critic.judge(asked, list(texts[item.id].values()))
        found[item.id] = {
            candidate_id: verdict.fits
            for candidate_id, verdict in zip(texts[item.id], verdicts, strict=True)
        }
    return found


def _say(number: int, fits: Fits, config: Config, rng: random.Random) -> dict[int, bool]:
    """Returns what a person says of each candidate, in the order in which they see them."""
    picks = dict(zip(fits, say(number, list(fits.values()), config["noise"], rng), strict=True))
    order = list(fits)
    rng.shuffle(order)
    if number == FIRST:
        order.sort(key=lambda candidate_id: not picks[candidate_id])
    return {candidate_id: picks[candidate_id] for candidate_id in order}


def _store(session: Session, said: list[tuple[RoundItem, User, Fits]]) -> None:
    """Keep what people said as submitted judgements."""
    slots: dict[int, int] = defaultdict(int)
    by_person: dict[int, list[dict[str, Any]]] = defaultdict(list)
    picks_of: dict[tuple[int, int], dict[int, bool]] = {}
    for place, person, picks in said:
        slots[place.id] += 1
        picked = [candidate_id for candidate_id, fits in picks.items() if fits]
        picks_of[place.id, person.id] = picks
        by_person[person.id].append(
            {
                "round_item_id": place.id,
                "round_id": place.round_id,
                "user_id": person.id,
                "user_kind": UserKind.PERSON,
                "status": JudgementStatus.SUBMITTED,
                "slot": slots[place.id],
                "max_slots": place.max_slots,
                "version": 1,
                "shown_order": list(picks),
                "picked": picked,
                "none_fits": not picked,
                "submitted_at": datetime.now(UTC),
            }
        )
    for person_id, rows in by_person.items():
        ids = queries.insert_judgements(session, rows)
        verdicts = [
            {
                "judgement_id": ids[row["round_item_id"]],
                "candidate_id": candidate_id,
                "round_id": row["round_id"],
                "none_fits": row["none_fits"],
                "answer_is_wrong": False,
                "fits": fits,
                "position": position,
                "faults": [],
            }
            for row in rows
            for position, (candidate_id, fits) in enumerate(
                picks_of[row["round_item_id"], person_id].items(), start=1
            )
        ]
        queries.insert_verdicts(session, verdicts)


def _count_admitted(round_id: int, fits: Fits) -> dict[str, int]:
    with session_scope() as session:
        admitted = session.scalars(
            select(Admission.candidate_id).where(Admission.round_id == round_id)
        ).all()
    return {
        "n_fitting": sum(fits.values()),
        "n_admitted": len(admitted),
        "n_both": sum(fits[candidate_id] for candidate_id in admitted),
    }


def _read_scores(project: Project) -> Result:
    with session_scope() as session:
        settings = LoopSettings.model_validate(project.settings)
        rounds = collect(session, project.id, 1, settings)["rounds"]
    tests = [entry["scores"].get("test", {}) for entry in rounds]
    return {
        "fit": [test["fit"]["value"] for test in tests],
        "accuracy": [test["answer_accuracy"]["value"] for test in tests],
        "n_test": tests[0]["fit"]["n"],
    }
