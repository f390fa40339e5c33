"""The tables refuse what must never be, whoever writes: plain SQL that tries to break each rule."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.lifecycle import Job, Purpose, RoundStatus, RunStatus, Split, UserKind
from app.models import Item, Project, Round, RoundItem, Run, User
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_run,
    make_user,
)

SHA = "0" * 64


@dataclass
class World:
    """One project with an open round: a train item with two places, and a test item measured."""

    session: Session
    project: Project
    round: Round
    train: Item
    test: Item
    train_place: RoundItem
    test_place: RoundItem
    ada: User
    bob: User
    critic: User
    run: Run
    shard_id: int

    def value(self, query: str, **values: Any) -> Any:
        return self.session.execute(text(query), values).scalar_one()

    def execute(self, statement: str, **values: Any) -> None:
        self.session.execute(text(statement), values)

    def insert(self, table: str, **values: Any) -> None:
        names = ", ".join(values)
        places = ", ".join(f":{name}" for name in values)
        self.execute(f'INSERT INTO "{table}" ({names}) VALUES ({places})', **values)  # noqa: S608

    def candidate_id(self, rank: int = 1, place: RoundItem | None = None) -> int:
        place = place or self.train_place
        found: int = self.value(
            "SELECT candidate_id FROM round_candidate"
            " WHERE round_id = :round AND item_id = :item AND rank = :rank",
            round=self.round.id,
            item=place.item_id,
            rank=rank,
        )
        return found

    def shown(self, place: RoundItem | None = None) -> list[int]:
        return [self.candidate_id(rank, place) for rank in (1, 2, 3)]

    def judge(self, user: User | None = None, **changes: Any) -> None:
        """Add a judgement that is right but for the changes."""
        user = user or self.ada
        place: RoundItem = changes.pop("place", self.train_place)
        values = {
            "round_item_id": place.id,
            "round_id": self.round.id,
            "user_id": user.id,
            "user_kind": user.kind.value,
            "status": "leased",
            "slot": 1,
            "max_slots": 2,
            "lease_until": "2100-01-01",
            "shown_order": self.shown(place),
            **changes,
        }
        self.insert("judgement", **values)

    def submit(self, user: User | None = None, **changes: Any) -> int:
        """Add a submitted judgement; its id."""
        answer = {"picked": [self.candidate_id()]} if not changes.keys() & ANSWERS else {}
        times = {"status": "submitted", "lease_until": None, "submitted_at": "2026-01-01"}
        self.judge(user, **{**times, **answer, **changes})
        found: int = self.value("SELECT max(id) FROM judgement")
        return found

    def sample(self, **changes: Any) -> None:
        values = {
            "run_id": self.run.id,
            "shard_id": self.shard_id,
            "shard_attempt": 2,
            "item_id": self.train.id,
            "candidate_id": self.candidate_id(),
            "strategy": "direct",
            "prompt": "seeing that",
            "temperature": 0.3,
            "number": 1,
            "seed": 7,
            "log_probability": -1.0,
            "n_tokens": 4,
            **changes,
        }
        self.insert("sample", **values)

    def predict(self, **changes: Any) -> None:
        values = {
            "run_id": self.run.id,
            "shard_id": self.shard_id,
            "shard_attempt": 2,
            "item_id": self.test.id,
            "split": "test",
            "answer": "red",
            "rationale": "the ball is red",
            "answer_is_right": True,
            "fits": True,
            **changes,
        }
        self.insert("prediction", **values)

    def admit(self, **changes: Any) -> None:
        values = {
            "round_id": self.round.id,
            "candidate_id": self.candidate_id(),
            "item_id": self.train.id,
            "purpose": "training",
            "policy": "any",
            "judge_kind": "person",
            "n_fits": 1,
            "n_votes": 1,
            **changes,
        }
        self.insert("admission", **values)

    def verdict(self, judgement_id: int, **changes: Any) -> None:
        values = {
            "judgement_id": judgement_id,
            "candidate_id": self.candidate_id(),
            "round_id": self.round.id,
            "none_fits": False,
            "answer_is_wrong": False,
            "is_shown": True,
            "fits": True,
            "position": 1,
            **changes,
        }
        self.insert("verdict", **values)


ANSWERS = {"picked", "none_fits", "answer_is_wrong"}


@pytest.fixture
def world(session: Session) -> World:
    project = make_project(session)
    round_ = make_round(session, project)
    train, test = make_item(session, project), make_item(session, project, split=Split.TEST)
    run = make_run(session, project, Job.GENERATE, round_=round_, status=RunStatus.RUNNING)
    run.attempt = 2
    session.flush()
    shard_id = session.execute(
        text(
            "INSERT INTO run_shard (run_id, number, item_ids, status, attempt)"
            " VALUES (:run, 1, :items, 'running', 2) RETURNING id"
        ),
        {"run": run.id, "items": [train.id]},
    ).scalar_one()
    return World(
        session=session,
        project=project,
        round=round_,
        train=train,
        test=test,
        train_place=make_round_item(session, round_, train, slots=2),
        test_place=make_round_item(session, round_, test, slots=2, purpose=Purpose.MEASURE),
        ada=make_user(session),
        bob=make_user(session),
        critic=make_user(session, kind=UserKind.CRITIC),
        run=run,
        shard_id=shard_id,
    )


@contextmanager
def refused(world: World, rule: str) -> Iterator[None]:
    """Expects the database to refuse a statement, and to name the rule that it broke."""
    with pytest.raises(IntegrityError) as refusal, world.session.begin_nested():
        yield
    orig: Any = refusal.value.orig
    assert rule in (orig.diag.constraint_name or orig.diag.message_primary)


# --- Leak guard -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("split", "rule"),
    [
        ("test", "ck_round_item_training_is_train_split"),
        ("train", "fk_round_item_item_id_split"),  # a lie about the split
    ],
)
def test_held_out_item_cannot_be_judged_for_training(world: World, split: str, rule: str) -> None:
    item = make_item(world.session, world.project, split=Split.TEST)
    with refused(world, rule):
        world.insert(
            "round_item",
            round_id=world.round.id,
            project_id=world.project.id,
            item_id=item.id,
            split=split,
            purpose="training",
            slots=1,
            max_slots=1,
            random_key=0.5,
        )


def test_measured_item_cannot_become_one_for_training(world: World) -> None:
    with refused(world, "ck_round_item_training_is_train_split"):
        world.execute("UPDATE round_item SET purpose = 'training'")


@pytest.mark.parametrize(
    ("split", "rule"),
    [("test", "ck_training_row_train_split_only"), ("train", "fk_training_row_item_id_split")],
)
@pytest.mark.parametrize("has_rationale", [True, False])
def test_held_out_item_cannot_be_trained_on(
    world: World, split: str, rule: str, has_rationale: bool
) -> None:
    candidate_id = world.candidate_id(place=world.test_place) if has_rationale else None
    with refused(world, rule):
        world.insert(
            "training_row",
            run_id=world.run.id,
            item_id=world.test.id,
            split=split,
            candidate_id=candidate_id,
        )


@pytest.mark.parametrize(
    ("split", "rule"),
    [("test", "ck_training_row_train_split_only"), ("train", "fk_training_row_item_id_split")],
)
def test_a_text_that_people_wrote_of_a_held_out_item_cannot_be_trained_on(
    world: World, split: str, rule: str
) -> None:
    judgement_id = world.submit(place=world.test_place, picked=world.shown(world.test_place)[:1])
    written = {"judgement_id": judgement_id, "candidate_id": world.shown(world.test_place)[0]}
    world.insert(
        "written_rationale",
        **written,
        item_id=world.test.id,
        text="a person's text",
        text_key="key",
    )
    with refused(world, rule):
        world.insert(
            "training_row",
            run_id=world.run.id,
            item_id=world.test.id,
            split=split,
            **{f"written_{name}": value for name, value in written.items()},
        )


def test_a_training_row_has_one_rationale_of_its_own_item(world: World) -> None:
    judgement_id = world.submit()
    written = {"judgement_id": judgement_id, "candidate_id": world.candidate_id()}
    world.insert(
        "written_rationale",
        **written,
        item_id=world.train.id,
        text="a person's text",
        text_key="key",
    )
    names = {f"written_{name}": value for name, value in written.items()}
    other = make_item(world.session, world.project)
    for rule, values in (
        ("ck_training_row_one_rationale", names | {"candidate_id": world.candidate_id()}),
        ("ck_training_row_written_whole_or_absent", {"written_judgement_id": judgement_id}),
        ("fk_training_row_written_rationale", names | {"item_id": other.id}),
    ):
        with refused(world, rule):
            row = {"run_id": world.run.id, "item_id": world.train.id, **values}
            world.insert("training_row", **row)
    world.insert("training_row", run_id=world.run.id, item_id=world.train.id, **names)
    with refused(world, "uq_training_row_rationale"):
        world.insert("training_row", run_id=world.run.id, item_id=world.train.id, **names)


@pytest.mark.parametrize(
    ("split", "rule"),
    [("test", "ck_prior_episode_train_split_only"), ("train", "fk_prior_episode_item_id_split")],
)
def test_an_episode_of_a_held_out_item_cannot_be_in_the_prior(
    world: World, split: str, rule: str
) -> None:
    with refused(world, rule):
        insert_episode(world, world.test, split=split)


def test_an_episode_is_of_an_item_of_its_project_with_at_most_four_looks(world: World) -> None:
    stranger = make_item(world.session, make_project(world.session))
    for rule, values in (
        ("fk_prior_episode_item_id_project_id", {"item_id": stranger.id}),
        ("ck_prior_episode_at_most_four_turns", {"turns": "[{}, {}, {}, {}, {}]"}),
        ("ck_prior_episode_at_most_four_turns", {"turns": '{"asked": "what?"}'}),
        ("ck_prior_episode_texts_given", {"answer": ""}),
        ("ck_prior_episode_texts_given", {"rationale": ""}),
    ):
        with refused(world, rule):
            insert_episode(world, world.train, **values)
    insert_episode(world, world.train)
    with refused(world, "uq_prior_episode_current"):
        insert_episode(world, world.train)


def test_a_training_row_names_an_episode_of_its_own_item_and_no_second_rationale(
    world: World,
) -> None:
    other = make_item(world.session, world.project)
    insert_episode(world, world.train)
    row = {
        "run_id": world.run.id,
        "item_id": world.train.id,
        "prior_episode_id": world.value("SELECT id FROM prior_episode"),
    }
    for rule, values in (
        ("fk_training_row_prior_episode_id_item_id", {"item_id": other.id}),
        ("ck_training_row_one_rationale", {"candidate_id": world.candidate_id()}),
    ):
        with refused(world, rule):
            world.insert("training_row", **(row | values))
    world.insert("training_row", **row)
    with refused(world, "uq_training_row_rationale"):
        world.insert("training_row", **row)
    with refused(world, "fk_training_row_prior_episode_id_item_id"):
        world.execute("DELETE FROM prior_episode")


def insert_episode(world: World, item: Item, **changes: Any) -> None:
    values = {
        "project_id": world.project.id,
        "item_id": item.id,
        "item_version": 1,
        "turns": "[]",
        "answer": "red",
        "content_key": "key",
    }
    world.insert("prior_episode", **(values | changes))


def test_an_image_with_episodes_cannot_move_to_the_test_split(world: World) -> None:
    item = make_item(world.session, world.project)
    insert_episode(world, item)
    with refused(world, "fk_prior_episode_item_id_split"):
        world.execute(
            "UPDATE project_image SET split = 'test' WHERE image_sha256 = :sha",
            sha=item.image_sha256,
        )


def test_item_that_was_trained_on_cannot_move_to_the_test_split(world: World) -> None:
    world.insert("training_row", run_id=world.run.id, item_id=world.train.id)
    world.execute("DELETE FROM round_candidate")
    world.execute("DELETE FROM round_item")
    with refused(world, "fk_training_row_item_id_split"):
        world.execute(
            "UPDATE project_image SET split = 'test' WHERE image_sha256 = :sha",
            sha=world.train.image_sha256,
        )


def test_item_that_is_judged_for_training_cannot_move_to_the_test_split(world: World) -> None:
    with refused(world, "fk_round_item_item_id_split"):
        world.execute(
            "UPDATE project_image SET split = 'test' WHERE image_sha256 = :sha",
            sha=world.train.image_sha256,
        )


def test_item_cannot_leave_the_split_of_its_image(world: World) -> None:
    item = make_item(world.session, world.project)
    with refused(world, "fk_item_project_id_image_sha256_split"):
        world.execute("UPDATE item SET split = 'test' WHERE id = :id", id=item.id)


def test_image_cannot_be_in_two_splits_of_a_project(world: World) -> None:
    sha = world.train.image_sha256
    with refused(world, "pk_project_image"):
        world.insert("project_image", project_id=world.project.id, image_sha256=sha, split="test")
    with refused(world, "fk_item_project_id_image_sha256_split"):
        world.insert(
            "item",
            project_id=world.project.id,
            image_sha256=sha,
            split="test",
            external_id="again",
            question="what is it?",
            answer="a ball",
        )


@pytest.mark.parametrize("split", ["train", "test"])
def test_model_cannot_be_scored_on_what_it_trains_on(world: World, split: str) -> None:
    rule = "ck_prediction_held_out_only" if split == "train" else "fk_prediction_item_id_split"
    with refused(world, rule):
        world.predict(item_id=world.train.id, split=split)


def test_rationale_for_a_wrong_answer_is_no_fit(world: World) -> None:
    with refused(world, "ck_prediction_wrong_answer_is_no_fit"):
        world.predict(answer_is_right=False, fits=True)
    world.predict(answer_is_right=False, fits=None)


def test_what_a_blank_picture_brought_is_stored_whole_or_not_at_all(world: World) -> None:
    blank = {
        "blank_answer": "red",
        "blank_rationale": "it is red",
        "blank_answer_is_right": False,
        "blank_fits": False,
    }
    for name in ("blank_answer", "blank_rationale", "blank_answer_is_right"):
        with refused(world, "ck_prediction_blank_whole_or_absent"):
            world.predict(**blank | {name: None})
    with refused(world, "ck_prediction_blank_wrong_answer_is_no_fit"):
        world.predict(**blank | {"blank_fits": True})
    with refused(world, "ck_prediction_verdict_on_both_or_neither"):
        world.predict(blank_fits=False)
    world.predict(**blank)


def test_an_item_that_cannot_be_judged_has_no_verdict_at_all(world: World) -> None:
    blank = {"blank_answer": "red", "blank_rationale": "it is", "blank_answer_is_right": True}
    for odd in ({"fits": True, "blank_fits": None}, {"fits": None, "blank_fits": False}):
        with refused(world, "ck_prediction_verdict_on_both_or_neither"):
            world.predict(**blank | odd)
    with refused(world, "ck_prediction_fault_has_verdict"):
        world.predict(fits=None, fault="unclear")
    world.predict(**blank, fits=None, blank_fits=None)


@pytest.mark.parametrize("purpose", ["measure", "training"])
def test_only_what_was_judged_for_training_can_be_admitted(world: World, purpose: str) -> None:
    rule = (
        "ck_admission_training_only"
        if purpose == "measure"
        else "fk_admission_round_id_item_id_purpose"
    )
    with refused(world, rule):
        world.admit(
            candidate_id=world.candidate_id(place=world.test_place),
            item_id=world.test.id,
            purpose=purpose,
        )


def test_candidate_of_a_held_out_item_cannot_be_admitted_under_another_item(world: World) -> None:
    with refused(world, "fk_admission_candidate_id_item_id"):
        world.admit(candidate_id=world.candidate_id(place=world.test_place))
    with refused(world, "fk_training_row_candidate_id_item_id"):
        world.insert(
            "training_row",
            run_id=world.run.id,
            item_id=world.train.id,
            candidate_id=world.candidate_id(place=world.test_place),
        )


@pytest.mark.parametrize(("n_fits", "n_votes"), [(0, 1), (2, 1)])
def test_votes_of_an_admission_add_up(world: World, n_fits: int, n_votes: int) -> None:
    with refused(world, "ck_admission_votes_add_up"):
        world.admit(n_fits=n_fits, n_votes=n_votes)


@pytest.mark.parametrize(
    ("policy", "probability", "rule"),
    [
        ("majority", 0.9, "of_people"),
        ("dawid_skene_0.9", None, "of_people"),
        ("dawid_skene_0.9", 1.1, "within"),
    ],
)
def test_a_probability_belongs_to_a_policy_that_weighs_people(
    world: World, policy: str, probability: float | None, rule: str
) -> None:
    with refused(world, f"ck_admission_probability_{rule}"):
        world.admit(policy=policy, probability=probability)
    world.admit(policy="dawid_skene_0.9", probability=0.95)


def test_same_answer_row_is_trained_on_once(world: World) -> None:
    world.insert("training_row", run_id=world.run.id, item_id=world.train.id)
    with refused(world, "uq_training_row_rationale"):
        world.insert("training_row", run_id=world.run.id, item_id=world.train.id)


# --- Overlap: never more than k -------------------------------------------------------------


def test_places_of_an_item_are_counted_by_the_database(world: World) -> None:
    def counted() -> tuple[int, int]:
        row = world.session.execute(
            text("SELECT n_taken, n_submitted FROM round_item WHERE id = :id"),
            {"id": world.train_place.id},
        ).one()
        return row.n_taken, row.n_submitted

    world.judge(world.ada)
    assert counted() == (1, 0)
    second = world.submit(world.bob, slot=2)
    assert counted() == (2, 1)
    world.judge(world.critic, slot=None, status="submitted", lease_until=None,
                submitted_at="2026-01-01", none_fits=True)  # fmt: skip
    assert counted() == (2, 1)
    world.execute(
        "UPDATE judgement SET status = 'draft', submitted_at = NULL, lease_until = '2100-01-01'"
        " WHERE id = :id",
        id=second,
    )
    assert counted() == (2, 0)
    world.execute(
        "UPDATE judgement SET status = 'released', slot = NULL, lease_until = NULL WHERE id = :id",
        id=second,
    )
    assert counted() == (1, 0)
    world.execute("DELETE FROM judgement WHERE user_kind = 'person'")
    assert counted() == (0, 0)


def test_place_is_taken_once(world: World) -> None:
    world.judge(world.ada)
    with refused(world, "uq_judgement_round_item_id_slot"):
        world.judge(world.bob)


def test_third_place_of_two_is_refused(world: World) -> None:
    for slot, rule in ((3, "ck_judgement_slot_within_max"), (0, "ck_judgement_slot_within_max")):
        with refused(world, rule):
            world.judge(slot=slot)
    with refused(world, "fk_judgement_round_item_id_max_slots"):  # a lie about the places
        world.judge(slot=3, max_slots=3)


def test_one_annotator_judges_an_item_once(world: World) -> None:
    world.judge(world.ada)
    with refused(world, "uq_judgement_round_item_id_user_id"):
        world.judge(world.ada, slot=2)
    with refused(world, "uq_judgement_round_item_id_user_id"):
        world.judge(world.ada, status="skipped", slot=None, lease_until=None)


def test_live_judgement_of_a_person_holds_a_place(world: World) -> None:
    with refused(world, "ck_judgement_live_person_holds_slot"):
        world.judge(slot=None)
    with refused(world, "ck_judgement_live_person_holds_slot"):
        world.judge(status="released", lease_until=None)


def test_critic_takes_no_place_and_cannot_pass_as_a_person(world: World) -> None:
    with refused(world, "ck_judgement_live_person_holds_slot"):
        world.judge(world.critic)
    with refused(world, "fk_judgement_user_id_user_kind"):
        world.judge(world.critic, user_kind="person")
    world.judge(world.critic, slot=None)


def test_counters_cannot_be_pushed_past_the_places(world: World) -> None:
    with refused(world, "ck_round_item_taken_within_max"):
        world.execute("UPDATE round_item SET n_taken = 3")
    with refused(world, "ck_round_item_submitted_within_taken"):
        world.execute("UPDATE round_item SET n_submitted = 1")
    with refused(world, "ck_round_item_slots_within_max"):
        world.execute("UPDATE round_item SET slots = 3")


def test_places_cannot_be_taken_away_from_under_those_who_hold_them(world: World) -> None:
    world.judge(world.ada)
    world.judge(world.bob, slot=2)
    with refused(world, "ck_round_item_taken_within_max"):
        world.execute(
            "UPDATE round_item SET slots = 1, max_slots = 1 WHERE id = :id", id=world.train_place.id
        )


def test_judgement_cannot_move(world: World) -> None:
    world.judge(world.ada)
    for change in ("round_item_id = :other", "user_id = :bob"):
        with refused(world, "cannot move to another item or annotator"):
            world.execute(
                f"UPDATE judgement SET {change} WHERE :other > 0 AND :bob > 0",  # noqa: S608
                other=world.test_place.id,
                bob=world.bob.id,
            )


def test_judgement_belongs_to_the_round_of_its_item(world: World) -> None:
    other = make_round(world.session, make_project(world.session))
    with refused(world, "fk_judgement_round_item_id_round_id"):
        world.judge(round_id=other.id)


def test_item_is_in_a_round_once_and_only_in_rounds_of_its_project(world: World) -> None:
    stranger = make_item(world.session, make_project(world.session))
    values = {
        "round_id": world.round.id,
        "project_id": world.project.id,
        "split": "train",
        "purpose": "training",
        "slots": 1,
        "max_slots": 1,
        "random_key": 0.5,
    }
    with refused(world, "uq_round_item_round_id_item_id"):
        world.insert("round_item", item_id=world.train.id, **values)
    with refused(world, "fk_round_item_item_id_project_id"):
        world.insert("round_item", item_id=stranger.id, **values)
    with refused(world, "fk_round_item_round_id_project_id"):
        world.insert(
            "round_item", item_id=stranger.id, **{**values, "project_id": stranger.project_id}
        )


# --- What a judgement says ------------------------------------------------------------------


def test_submission_says_something(world: World) -> None:
    with refused(world, "ck_judgement_submitted_says_something"):
        world.submit(picked=[])
    world.submit(none_fits=True)


def test_none_fits_picks_nothing(world: World) -> None:
    with refused(world, "ck_judgement_none_fits_picks_nothing"):
        world.judge(none_fits=True, picked=[world.candidate_id()])


def test_wrong_answer_excludes_everything_else(world: World) -> None:
    with refused(world, "ck_judgement_wrong_answer_picks_nothing"):
        world.judge(answer_is_wrong=True, picked=[world.candidate_id()])
    with refused(world, "ck_judgement_wrong_answer_picks_nothing"):
        world.judge(answer_is_wrong=True, none_fits=True)


def test_only_what_was_shown_can_be_picked(world: World) -> None:
    with refused(world, "ck_judgement_picked_was_shown"):
        world.judge(picked=[world.candidate_id(place=world.test_place)])


def test_lease_ends_and_submission_has_a_time(world: World) -> None:
    with refused(world, "ck_judgement_lease_has_end"):
        world.judge(lease_until=None)
    with refused(world, "ck_judgement_lease_has_end"):
        world.submit(lease_until="2100-01-01")
    with refused(world, "ck_judgement_submitted_has_time"):
        world.submit(submitted_at=None)
    with refused(world, "ck_judgement_submitted_has_time"):
        world.judge(submitted_at="2026-01-01")
    with refused(world, "ck_judgement_active_ms_not_negative"):
        world.judge(active_ms=-1)


def test_none_fits_has_only_verdicts_that_say_so(world: World) -> None:
    judgement = world.submit(none_fits=True)
    with refused(world, "ck_verdict_none_fits_means_none"):
        world.verdict(judgement, none_fits=True, fits=True)
    with refused(world, "fk_verdict_submitted_answer"):
        world.verdict(judgement, none_fits=False, fits=True)  # a lie about the judgement
    world.verdict(judgement, none_fits=True, fits=False)


def test_wrong_answer_has_no_verdicts(world: World) -> None:
    judgement = world.submit(answer_is_wrong=True)
    with refused(world, "ck_verdict_wrong_answer_has_no_verdicts"):
        world.verdict(judgement, answer_is_wrong=True, fits=False)
    with refused(world, "fk_verdict_submitted_answer"):
        world.verdict(judgement, fits=False)


@pytest.mark.parametrize("answer", ["none_fits", "answer_is_wrong"])
def test_answer_cannot_change_under_its_verdicts(world: World, answer: str) -> None:
    world.verdict(world.submit())
    with refused(world, "fk_verdict_submitted_answer"):
        world.execute(f"UPDATE judgement SET picked = '{{}}', {answer} = true")  # noqa: S608


def test_only_a_submitted_judgement_has_verdicts(world: World) -> None:
    world.judge(world.bob, slot=2, picked=[world.candidate_id()])
    lease = world.value("SELECT max(id) FROM judgement")
    with refused(world, "fk_verdict_submitted_answer"):
        world.verdict(lease)
    with refused(world, "ck_verdict_submitted_only"):
        world.verdict(lease, status="leased")


def test_submission_with_verdicts_cannot_turn_into_a_draft(world: World) -> None:
    world.verdict(world.submit())
    with refused(world, "fk_verdict_submitted_answer"):
        world.execute(
            "UPDATE judgement SET status = 'draft', submitted_at = NULL, lease_until = '2100-01-01'"
        )


def test_verdict_is_about_the_item_that_was_judged(world: World) -> None:
    stranger = world.candidate_id(place=world.test_place)  # shown in this round, of another item
    judgement = world.submit()
    with refused(world, "a verdict says what its judgement says"):
        world.verdict(judgement, candidate_id=stranger, fits=False)
    # Not even where the judgement claims that it was shown.
    shown = [*world.shown(), stranger]
    lying = world.submit(world.bob, slot=2, shown_order=shown, picked=[stranger])
    with refused(world, "a verdict says what its judgement says"):
        world.verdict(lying, candidate_id=stranger)
    world.verdict(judgement)
    with refused(world, "a verdict says what its judgement says"):
        world.execute("UPDATE verdict SET candidate_id = :id, fits = false", id=stranger)


def test_verdict_says_what_was_picked(world: World) -> None:
    judgement = world.submit()
    with refused(world, "a verdict says what its judgement says"):
        world.verdict(judgement, fits=False)
    with refused(world, "a verdict says what its judgement says"):
        world.verdict(judgement, candidate_id=world.candidate_id(2), fits=True)
    world.verdict(judgement)
    world.verdict(judgement, candidate_id=world.candidate_id(2), fits=False, position=2)


def test_candidate_that_was_not_shown_has_no_verdict(world: World) -> None:
    hidden = world.candidate_id(3)
    judgement = world.submit()
    world.execute(
        "UPDATE round_candidate SET is_shown = false, chosen_by = 'not_shown'"
        " WHERE candidate_id = :id",
        id=hidden,
    )
    with refused(world, "ck_verdict_shown_only"):
        world.verdict(judgement, candidate_id=hidden, is_shown=False)
    with refused(world, "fk_verdict_round_id_candidate_id_is_shown"):
        world.verdict(judgement, candidate_id=hidden)


def test_shown_candidate_cannot_be_hidden_once_it_has_a_verdict(world: World) -> None:
    world.verdict(world.submit())
    with refused(world, "fk_verdict_round_id_candidate_id_is_shown"):
        world.execute("UPDATE round_candidate SET is_shown = false, chosen_by = 'not_shown'")


def test_candidate_has_one_verdict_at_one_position(world: World) -> None:
    judgement = world.submit()
    world.verdict(judgement)
    with refused(world, "pk_verdict"):
        world.verdict(judgement, position=2)
    with refused(world, "uq_verdict_judgement_id_position"):
        world.verdict(judgement, candidate_id=world.candidate_id(2))


def test_reason_for_showing_is_recorded(world: World) -> None:
    with refused(world, "ck_round_candidate_shown_says_why"):
        world.execute("UPDATE round_candidate SET chosen_by = 'not_shown'")
    with refused(world, "ck_round_candidate_chosen_by_known"):
        world.execute("UPDATE round_candidate SET chosen_by = 'taste'")
    with refused(world, "uq_round_candidate_round_id_item_id_rank"):
        world.execute("UPDATE round_candidate SET rank = 1")


# --- Fencing --------------------------------------------------------------------------------


def test_worker_that_lost_its_shard_cannot_write(world: World) -> None:
    world.execute("UPDATE run_shard SET attempt = 3")  # another worker took it over
    with refused(world, "fk_sample_shard_id_shard_attempt"):
        world.sample()
    with refused(world, "fk_prediction_shard_id_shard_attempt"):
        world.predict()
    world.sample(shard_attempt=3)


def test_worker_that_lost_its_run_cannot_write(world: World) -> None:
    world.execute("UPDATE run SET attempt = 3")
    with refused(world, "fk_adapter_run_id_run_attempt"):
        world.insert(
            "adapter",
            project_id=world.project.id,
            run_id=world.run.id,
            run_attempt=2,
            base_model="demo",
            base_revision="1",
            digest=SHA,
        )
    with refused(world, "fk_score_run_id_run_attempt"):
        world.insert(
            "score",
            run_id=world.run.id,
            run_attempt=2,
            split="test",
            name="accuracy",
            value=0.5,
            n=10,
        )


def test_shard_whose_samples_are_stored_cannot_be_taken_over(world: World) -> None:
    world.sample()
    with refused(world, "fk_sample_shard_id_shard_attempt"):
        world.execute("UPDATE run_shard SET attempt = attempt + 1")


def test_same_draw_and_same_prediction_are_stored_once(world: World) -> None:
    world.sample()
    world.predict()
    rule = "uq_sample_run_id_item_id_strategy_prompt_temperature_number"
    with refused(world, rule):
        world.sample(seed=8)
    with refused(world, "uq_prediction_run_id_item_id"):
        world.predict(answer="blue")


def test_sample_belongs_to_the_item_of_its_candidate(world: World) -> None:
    with refused(world, "fk_sample_candidate_id_item_id"):
        world.sample(item_id=world.test.id)


def test_one_live_run_per_round_and_job(world: World) -> None:
    run = {"project_id": world.project.id, "round_id": world.round.id, "job": "generate"}
    with refused(world, "uq_run_one_live_per_part"):
        world.insert("run", **run)
    world.execute("UPDATE run SET status = 'failed', error = '\"x\"', finished_at = now()")
    world.insert("run", **run)
    with refused(world, "uq_run_one_live_per_part"):
        world.execute(
            "UPDATE run SET status = 'running', error = NULL, finished_at = NULL WHERE id = :id",
            id=world.run.id,
        )


def test_run_says_how_it_ended(world: World) -> None:
    with refused(world, "ck_run_failed_has_error"):
        world.execute("UPDATE run SET status = 'failed', finished_at = now()")
    with refused(world, "ck_run_finished_has_time"):
        world.execute("UPDATE run SET status = 'succeeded'")
    with refused(world, "fk_run_round_id_project_id"):
        world.insert(
            "run", project_id=make_project(world.session).id, round_id=world.round.id, job="train"
        )


# --- Rounds ---------------------------------------------------------------------------------


def test_project_has_one_open_round(world: World) -> None:
    second = {
        "project_id": world.project.id,
        "number": 2,
        "status": "draft",
        "settings": "{}",
        "order_key": "x",
        "figures": "{}",
    }
    with refused(world, "uq_round_one_open_per_project"):
        world.insert("round", **second)
    world.execute("UPDATE round SET status = 'completed', decision = 'continue'")
    world.insert("round", **second)
    with refused(world, "uq_round_one_open_per_project"):  # nor can a closed one be opened again
        world.execute(
            "UPDATE round SET status = 'judging', decision = NULL WHERE id = :id", id=world.round.id
        )
    make_round(world.session, make_project(world.session))  # another project has its own


def test_round_numbers_do_not_repeat(world: World) -> None:
    world.execute("UPDATE round SET status = 'cancelled'")
    with refused(world, "uq_round_project_id_number"):
        make_round(world.session, world.project, number=1, status=RoundStatus.DRAFT)


def test_completed_round_is_decided_and_no_other(world: World) -> None:
    with refused(world, "ck_round_completed_is_decided"):
        world.execute("UPDATE round SET status = 'completed'")
    with refused(world, "ck_round_completed_is_decided"):
        world.execute("UPDATE round SET decision = 'continue'")


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("round", "status"),
        ("run", "status"),
        ("run", "job"),
        ("run_shard", "status"),
        ("round_item", "state"),
        ("round_item", "purpose"),
        ("membership", "role"),
        ("user", "kind"),
        ("project_image", "split"),
    ],
)
def test_unknown_word_is_no_status(world: World, table: str, column: str) -> None:
    make_membership(world.session, world.project, world.ada)
    with refused(world, f"ck_{table}_{column}"):
        world.execute(f"UPDATE \"{table}\" SET {column} = 'somehow'")  # noqa: S608


# --- History --------------------------------------------------------------------------------


def write_history(world: World) -> None:
    """One row in every table that is append-only."""
    judgement = world.submit()
    world.insert(
        "judgement_revision", judgement_id=judgement, number=1, action="submit", content="{}"
    )
    world.insert("event", project_id=world.project.id, round_id=world.round.id, tag="round:created")
    world.insert(
        "release",
        project_id=world.project.id,
        number=1,
        content_hash=SHA,
        n_rows=1,
        card="{}",
    )
    world.insert(
        "release_row",
        release_id=world.value("SELECT id FROM release"),
        number=1,
        item_id=world.train.id,
        payload="{}",
    )


HISTORY = {
    "event": "tag = 'nothing:happened'",
    "judgement_revision": "content = '{\"picked\": []}'",
    "candidate": "text = 'it is blue'",
    "release": "content_hash = 'f'",
    "release_row": 'payload = \'{"text": "other"}\'',
}


@pytest.mark.parametrize("table", HISTORY)
def test_history_can_be_neither_changed_nor_deleted(world: World, table: str) -> None:
    write_history(world)
    rule = f"{table} is append-only"
    with refused(world, rule):
        world.execute(f"UPDATE {table} SET {HISTORY[table]}")  # noqa: S608
    with refused(world, rule):
        world.execute(f"DELETE FROM {table}")  # noqa: S608
    assert world.value(f"SELECT count(*) FROM {table}") > 0  # noqa: S608


def test_round_with_history_cannot_be_deleted(world: World) -> None:
    write_history(world)
    with refused(world, "event is append-only"):
        world.execute("DELETE FROM round")


def test_event_of_no_project_stays_for_ever(world: World) -> None:
    world.insert("event", tag="user:added")
    with refused(world, "event is append-only"):
        world.execute("DELETE FROM event")


def test_history_goes_with_what_it_is_of(world: World) -> None:
    write_history(world)
    world.execute("DELETE FROM round_item")
    assert world.value("SELECT count(*) FROM judgement_revision") == 0


def test_same_text_is_one_candidate_and_none_is_empty(world: World) -> None:
    same = {"item_id": world.train.id, "text": "it is red"}
    key = world.value("SELECT text_key FROM candidate WHERE id = :id", id=world.candidate_id())
    with refused(world, "uq_candidate_item_id_text_key"):
        world.insert("candidate", text_key=key, **same)
    with refused(world, "ck_candidate_text_given"):
        world.insert("candidate", text_key=SHA, **{**same, "text": ""})


# --- People and data ------------------------------------------------------------------------


def test_critic_has_no_password(world: World) -> None:
    with refused(world, "ck_user_critic_has_no_password"):
        world.execute("UPDATE \"user\" SET password_hash = 'x' WHERE kind = 'critic'")


def test_judge_of_people_cannot_turn_into_a_critic(world: World) -> None:
    world.judge(world.ada)
    with refused(world, "fk_judgement_user_id_user_kind"):
        world.execute("UPDATE \"user\" SET kind = 'critic' WHERE id = :id", id=world.ada.id)


def test_invite_cannot_be_used_more_often_than_allowed(world: World) -> None:
    with refused(world, "ck_invite_within_max_uses"):
        world.insert(
            "invite",
            project_id=world.project.id,
            token_hash=SHA,
            role="annotator",
            n_uses=3,
            max_uses=2,
            expires_at="2100-01-01",
        )


def test_names_and_texts_are_what_they_should_be(world: World) -> None:
    for slug in ("Scenes", "a--b", "-a", ""):
        with refused(world, "ck_project_slug_is_plain"):
            world.execute(
                "UPDATE project SET slug = :slug WHERE id = :id", slug=slug, id=world.project.id
            )
    with refused(world, "ck_item_question_and_answer_given"):
        world.execute("UPDATE item SET answer = ''")
    with refused(world, "ck_image_sha256_is_hex"):
        world.insert("image", sha256="../x", media_type="image/png", width=1, height=1, n_bytes=1)
    with refused(world, "uq_item_project_id_external_id"):
        world.execute("UPDATE item SET external_id = 'same'")
