"""What a large round needs to look as in use: pictures, texts, scores, checks, a comparison.

The benchmark's own rows are as small as they can be, since only their number counts there. Here the
items show rendered scenes, round 1 was judged and measured too, and every page has something to
show. Nothing of it is measured.
"""

import json
import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.kit import storage
from app.kit.db import session_scope
from app.lifecycle import Job, Split
from app.models import Adapter, Item, Project, RoundModel, Run, User
from app.queries.runs.runs import claim_run
from app.run_results import EvaluationResult, TrainingResult
from app.scenes.loose import found_explanation
from app.scenes.questions.draw import Question, ask
from app.scenes.questions.queries import Kind
from app.scenes.rationales import explain
from app.scenes.render import render_png
from app.scenes.scene import Scene, random_scene
from app.services.quality.checks import ExpectedVerdict, make_check
from app.services.rounds import tryouts
from app.services.rounds.moving_on import finish_round_run
from benchmarks.support.cells import Config
from benchmarks.support.large_round.cell import JUDGED, FilledRound, put_in
from benchmarks.support.light_worker import ask as look

N_SCENES = {"train": 60, "validation": 20, "test": 10}
N_HELD_OUT = {"validation": 2_000, "test": 400}
N_CHECKS = 8
N_COMPARED = 60
JUDGED_BEFORE = 0.1
"""The share of the items that people judged in round 1."""
NAMES = (
    "Ada Ferreira", "Bo Lindqvist", "Chiamaka Okafor", "Dmitri Volkov", "Elif Yildiz",
    "Farid Amini", "Grace Mbeki", "Hiroshi Tanaka", "Irene Duarte", "Jonas Weber",
    "Kavya Raman", "Liam O'Brien",
    "Maja Kowalska", "Noor Haddad", "Omar Benali", "Priya Nair", "Quentin Lefebvre", "Rosa Jimenez",
    "Sofia Papadopoulou", "Tomas Novak",
)  # fmt: skip


def dress(config: Config, filled: FilledRound) -> None:
    """Fills in all that pages show beside the votes. Round 2 stays open, with 50 items to judge."""
    rng = random.Random(0)
    [[before]] = look("SELECT id FROM round WHERE number = 1")
    values: dict[str, Any] = {
        "round": filled.round_id,
        "before": before,
        "names": list(NAMES),
        "items": config["items"],
        "judged": int(config["items"] * JUDGED_BEFORE),
        "overlap": config["overlap"],
    }
    scenes = [one for split, n in N_SCENES.items() for one in _scenes(split, n, rng)]
    values |= {"scenes": json.dumps(scenes)} | N_HELD_OUT
    put_in(_TEXTS, values, ("image", "project_image", "item", "candidate"))
    put_in(_EARLIER, values, ("round_candidate",))
    put_in(JUDGED, values | {"round": before}, ("judgement", "verdict", "round_annotator"))
    put_in(_DRAWS, values, ("sample", "run_shard"))
    with session_scope() as session:
        run = session.get_one(Run, _add_run(before, "train"))
        _add_adapter(session, run, digest="a" * 64)
        _add_checks(session)
        _add_tryout(session)
    put_in(_CHECKED, values, ("round_item", "judgement", "verdict"))
    put_in(_COMPARED, values | {"compared": N_COMPARED}, ("comparison_candidate", "judgement"))
    for rounds, job in enumerate(("baseline", "evaluate")):
        _evaluate(_add_run(before, job), rounds)


def _scenes(split: str, n: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    """Stores pictures of a split; yields each with a question about it and eight texts."""
    kinds = tuple(Kind)
    number = 0
    while number < n:
        scene = random_scene(rng)
        question = ask(scene, kinds[number % len(kinds)], rng)
        if question is None:
            continue
        yield {
            "split": split, "number": number, "n": n, "question": question.text,
            "answer": question.answer, "texts": _texts(question, scene, rng),
            "sha": storage.put_image(render_png(scene), "image/png")[0],
        }  # fmt: skip
        number += 1


def _texts(question: Question, scene: Scene, rng: random.Random) -> list[str]:
    """Returns eight explanations, of which every third one is careful."""
    found: list[str] = []
    for _ in range(200):
        is_careful = len(found) % 3 == 0
        say = (
            explain(question.query, scene, rng)
            if is_careful
            else found_explanation(question, scene, rng)
        )
        if say not in found:
            found.append(say)
        if len(found) == 8:
            break
    return (found * 8)[:8]


def _add_adapter(session: Session, run: Run, *, digest: str) -> None:
    """Let a training have made an adapter; no file of it lies in the store."""
    assert run.round_id is not None
    adapter = Adapter(
        project_id=run.project_id, run_id=run.id, run_attempt=run.attempt, base_model="demo",
        base_revision="1", digest=digest,
    )  # fmt: skip
    session.add(adapter)
    session.flush()  # the row of the round names it
    models = session.scalars(select(RoundModel).where(RoundModel.round_id == run.round_id)).all()
    if models:
        models[0].new_adapter_id = adapter.id
        return
    session.add(
        RoundModel(
            round_id=run.round_id, strategy="direct", role="model", new_adapter_id=adapter.id
        )
    )


def _add_run(round_id: int, job: str) -> int:
    """Returns the number of a run that is over."""
    put_in(_MEASURING, {"round": round_id, "job": job}, ("run",))
    [[run_id]] = look("SELECT max(id) FROM run")
    return int(run_id)


def _add_tryout(session: Session) -> None:
    """Let two models have been asked about one item."""
    project = session.scalars(select(Project)).one()
    item = session.scalars(select(Item).order_by(Item.id).limit(1)).one()
    wish = tryouts.Wish(opener=", seeing that", sides=(tryouts.BASE, 1))
    run = tryouts.request_tryout(session, project, wish, item=item, actor=None)
    attempt = claim_run(session, run.id, worker_id=None, stale_after=timedelta(minutes=1))
    assert attempt is not None
    said = (
        tryouts.Tried(answer="no", rationale="there is nothing else to see", is_right=False),
        tryouts.Tried(answer=item.answer, rationale="the picture shows it", is_right=True),
    )
    tryouts.store_tried(session, run.id, attempt=attempt, tried=said)


def _add_checks(session: Session) -> None:
    """Make held-out items check items, of which two candidates fit and two do not."""
    project = session.scalars(select(Project)).one()
    admin = session.scalars(select(User).order_by(User.id).limit(1)).one()
    items = select(Item).where(Item.split == Split.VALIDATION).order_by(Item.id).limit(N_CHECKS)
    for item in session.scalars(items):
        verdicts = [
            ExpectedVerdict(f"{item.answer} is right for reason {n}", fits=n < 2) for n in range(4)
        ]
        make_check(session, project, item, verdicts, max_uses=50, actor=admin)


SCORES = (
    ("answer_accuracy", 0.71, 0.02), ("fit", 0.18, 0.16), ("bleu4", 0.21, 0.04),
    ("rouge_l", 0.42, 0.05), ("cider", 0.88, 0.31), ("filtered_bleu4", 0.22, 0.05),
    ("filtered_rouge_l", 0.44, 0.06), ("filtered_cider", 0.93, 0.33),
    ("human_bleu4", 0.36, 0.0), ("human_rouge_l", 0.55, 0.0), ("human_cider", 1.6, 0.0),
)  # fmt: skip
"""By name: of the base model, and what a round adds to it."""


def _evaluate(run_id: int, rounds: int) -> None:
    """Let a run have measured the model of that many rounds on all held-out items."""
    scores = [
        {"split": split, "name": name, "value": base + by * rounds**0.5, "n": n}
        for split, n in N_HELD_OUT.items()
        for name, base, by in SCORES
    ]
    values = {"run": run_id, "scores": json.dumps(scores), "fit": 0.18 + 0.16 * rounds**0.5}
    put_in(_MEASURED, values, ("prediction", "score"))


def end_round(round_id: int) -> None:
    """Let a closed round have trained an adapter and measured it, as workers would have."""
    with session_scope() as session:
        run = _claim(session, round_id, Job.TRAIN)
        _add_adapter(session, run, digest="b" * 64)
        finish_round_run(session, run.id, attempt=run.attempt, result=TrainingResult())
    with session_scope() as session:
        run_id = _claim(session, round_id, Job.EVALUATE).id
    _evaluate(run_id, 2)
    with session_scope() as session:
        run = session.get_one(Run, run_id)
        finish_round_run(session, run_id, attempt=run.attempt, result=EvaluationResult())


def _claim(session: Session, round_id: int, job: Job) -> Run:
    """Returns the newest run of a job, taken up as a worker does."""
    run = session.scalars(
        select(Run).where(Run.round_id == round_id, Run.job == job).order_by(Run.id.desc()).limit(1)
    ).one()
    claim_run(session, run.id, worker_id=None, stale_after=timedelta(minutes=1))
    session.refresh(run)
    return run


_TEXTS = """
CREATE TABLE scene AS SELECT * FROM jsonb_to_recordset(CAST(:scenes AS jsonb)) AS row
  (split text, number int, n int, sha text, question text, answer text, texts jsonb);
INSERT INTO image (sha256, media_type, width, height, n_bytes)
SELECT sha, 'image/png', 320, 320, 9000 FROM scene ON CONFLICT DO NOTHING;
INSERT INTO project_image (project_id, image_sha256, split)
SELECT project.id, sha, split FROM project, scene ON CONFLICT DO NOTHING;
UPDATE item SET image_sha256 = sha, question = scene.question, answer = scene.answer
FROM scene WHERE scene.split = 'train' AND number = item.id % n;
UPDATE candidate SET text = texts ->> rank::int - 1 FROM round_candidate, scene
WHERE candidate_id = candidate.id AND scene.split = 'train' AND number = candidate.item_id % n;
UPDATE "user" SET name = (CAST(:names AS text[]))[id - (SELECT min(id) FROM "user") + 1]
WHERE id < (SELECT min(id) FROM "user") + cardinality(CAST(:names AS text[]));
INSERT INTO item (project_id, image_sha256, split, external_id, question, answer, gold_rationales)
SELECT project.id, sha, split, split || '-' || place, question, answer, '[]'
FROM project, scene,
  generate_series(1, CASE split WHEN 'test' THEN :test ELSE :validation END) place
WHERE split <> 'train' AND number = place % n
"""

_EARLIER = """
UPDATE round SET settings = jsonb_set(jsonb_set(settings, '{judging,check_share}', '0.1'),
  '{judging,check_floor}', '0.5') WHERE id = :round;
INSERT INTO round_candidate (round_id, candidate_id, item_id, is_shown, rank, n_draws, chosen_by)
SELECT :before, candidate_id, item_id, true, rank, 2, 'draws' FROM round_candidate
WHERE round_id = :round AND item_id IN (
  SELECT item_id FROM round_item WHERE round_id = :before ORDER BY id LIMIT :judged);
UPDATE round_item SET state = 'resting', n_taken = 0, n_submitted = 0
WHERE round_id = :before;
UPDATE round SET created_at = now() - interval '20 days', status_changed_at = now() - interval
  '12 days', figures = figures || jsonb_build_object('n_open', CAST(:judged AS int), 'n_covered',
  CAST(:items / 4 AS int), 'newly_covered', CAST(:items / 4 AS int), 'improved',
  CAST(:items / 4 + 310 AS int), 'regressed', 96, 'n_admitted', CAST(:items * 1.3 AS int),
  'validation_accuracy', 0.73, 'baseline_accuracy', 0.71)
WHERE id = :before
"""

_DRAWS = """
INSERT INTO run_shard (run_id, number, item_ids, status, attempt, n_written, seconds)
SELECT id, 1, '{}', 'done', 1, 800000, 5400 FROM run WHERE round_id = :round AND job = 'generate';
INSERT INTO sample (run_id, shard_id, shard_attempt, item_id, candidate_id, strategy, prompt,
  temperature, number, seed, log_probability, n_tokens, is_cut)
SELECT run_id, run_shard.id, 1, item_id, candidate_id, 'direct',
  (ARRAY[', seeing that', 'because', ', as'])[abs(hashint8(candidate_id)) % 3 + 1],
  (ARRAY[0.01, 0.1, 0.3, 0.6, 0.9])[abs(hashint8(candidate_id + 7)) % 5 + 1], rank, candidate_id,
  -4.2, 14, false
FROM round_candidate, run_shard WHERE round_id = :round
"""

_CHECKED = """
CREATE TEMPORARY TABLE checked AS
SELECT place.id AS place_id, place.item_id, who.id AS user_id, number,
  row_number() OVER (PARTITION BY place.id ORDER BY who.id) AS slot
FROM round_item place, (SELECT id, row_number() OVER (ORDER BY id) - 1 AS number FROM "user") who
WHERE place.round_id = :round AND place.purpose = 'check';
CREATE TEMPORARY TABLE said AS
SELECT place_id, user_id, slot, candidate_id,
  fits <> (random() < CASE WHEN number % 7 = 6 THEN 0.5 ELSE 0.06 END) AS fits,
  row_number() OVER (PARTITION BY place_id, user_id
    ORDER BY hashint8extended(candidate_id, user_id)) AS position
FROM checked JOIN check_candidate USING (item_id);
UPDATE round_item SET max_slots = 50, slots = 50, n_taken = taken.n, n_submitted = taken.n
FROM (SELECT place_id, count(*) AS n FROM checked GROUP BY place_id) taken
WHERE round_item.id = place_id;
INSERT INTO judgement (round_item_id, round_id, user_id, max_slots, shown_order, picked, status,
  slot, none_fits, submitted_at, active_ms, n_words)
SELECT place_id, :round, user_id, 50, array_agg(candidate_id ORDER BY position),
  coalesce(array_agg(candidate_id ORDER BY position) FILTER (WHERE fits), '{}'), 'submitted', slot,
  NOT bool_or(fits), now() - random() * interval '10 days', 9000 + random() * 20000, 60
FROM said GROUP BY place_id, user_id, slot;
INSERT INTO verdict (judgement_id, candidate_id, round_id, none_fits, answer_is_wrong, fits,
  position)
SELECT judgement.id, candidate_id, :round, none_fits, false, fits, position
FROM judgement JOIN said ON place_id = round_item_id AND said.user_id = judgement.user_id;
DROP TABLE said
"""

_COMPARED = """
INSERT INTO run (project_id, round_id, job, strategy, status, parameters, attempt, result,
  started_at, finished_at)
SELECT project_id, id, 'compare', 'direct', 'succeeded', '{}', 1, '{}', now(), now() FROM round
WHERE id = :before;
INSERT INTO run_shard (run_id, number, item_ids, status, attempt, n_written, seconds)
SELECT id, 1, '{}', 'done', 1, 240, 40 FROM run WHERE job = 'compare';
INSERT INTO comparison (project_id, round_id, run_id)
SELECT project_id, round_id, id FROM run WHERE job = 'compare';
INSERT INTO comparison_item (comparison_id, item_id, round_id)
SELECT comparison.id, item.id, :round FROM comparison, item WHERE split = 'test'
ORDER BY item.id LIMIT :compared;
INSERT INTO candidate (item_id, text_key, text)
SELECT item.id, md5('compared' || item.id || '-' || turn) || md5(turn::text), texts ->> turn
FROM comparison_item JOIN item ON item.id = item_id JOIN scene ON sha = image_sha256,
  generate_series(1, 4) turn;
INSERT INTO comparison_candidate (comparison_id, item_id, candidate_id, n_old, n_new, is_shown,
  shard_id, shard_attempt)
SELECT comparison_id, item_id, candidate.id, (turn % 2) * 3, (1 - turn % 2) * 3, true,
  run_shard.id, 1
FROM comparison_item JOIN (SELECT *, row_number() OVER (PARTITION BY item_id ORDER BY id) AS turn
  FROM candidate) candidate USING (item_id), run_shard JOIN run ON run.id = run_id
WHERE run.job = 'compare';
INSERT INTO round_item (round_id, project_id, item_id, split, purpose, state, slots, max_slots,
  n_taken, n_submitted, random_key)
SELECT :round, project_id, item.id, item.split, 'comparison', 'done', 3, 3, 3, 3, random()
FROM item JOIN comparison_item ON item_id = item.id;
INSERT INTO round_candidate (round_id, candidate_id, item_id, is_shown, rank, n_draws, chosen_by)
SELECT :round, candidate_id, item_id, true, row_number() OVER (PARTITION BY item_id ORDER BY
  candidate_id), 3, 'comparison' FROM comparison_candidate;
CREATE TEMPORARY TABLE said AS
SELECT place.id AS place_id, who.id AS user_id, turn, candidate_id,
  random() < CASE WHEN n_new > 0 THEN 0.55 ELSE 0.3 END AS fits,
  row_number() OVER (PARTITION BY place.id, turn
    ORDER BY hashint8extended(candidate_id, turn)) AS position
FROM round_item place CROSS JOIN generate_series(1, 3) turn
JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS number FROM "user") who
  ON who.number = (place.id * 7 + turn * (1 + place.id % 5)) % (SELECT count(*) FROM "user")
JOIN comparison_candidate USING (item_id)
WHERE place.round_id = :round AND place.purpose = 'comparison';
INSERT INTO judgement (round_item_id, round_id, user_id, max_slots, shown_order, picked, status,
  slot, none_fits, submitted_at, active_ms, n_words)
SELECT place_id, :round, user_id, 3, array_agg(candidate_id ORDER BY position),
  coalesce(array_agg(candidate_id ORDER BY position) FILTER (WHERE fits), '{}'), 'submitted', turn,
  NOT bool_or(fits), now() - random() * interval '10 days', 9000 + random() * 20000, 60
FROM said GROUP BY place_id, user_id, turn;
INSERT INTO verdict (judgement_id, candidate_id, round_id, none_fits, answer_is_wrong, fits,
  position)
SELECT judgement.id, candidate_id, :round, none_fits, false, fits, position
FROM judgement JOIN said ON place_id = round_item_id AND said.user_id = judgement.user_id;
DROP TABLE said;
DROP TABLE scene
"""

_MEASURING = """
INSERT INTO run (project_id, round_id, job, strategy, status, parameters, attempt, result,
  started_at, finished_at)
SELECT project_id, id, :job, 'direct', 'succeeded', jsonb_build_object('base_model',
  settings ->> 'base_model', 'revision', settings ->> 'revision'), 1, '{}', now(), now() FROM round
WHERE id = :round;
INSERT INTO run_shard (run_id, number, item_ids, status, attempt, n_written, seconds)
SELECT max(id), 1, '{}', 'done', 1, 2400, 300 FROM run
"""

_MEASURED = """
INSERT INTO prediction (run_id, shard_id, shard_attempt, item_id, split, answer, rationale,
  answer_is_right, fits)
SELECT :run, shard_id, 1, item.id, split, CASE WHEN is_right THEN answer ELSE 'no' END,
  CASE WHEN fits THEN 'the picture shows it, so the answer is ' || answer
    ELSE 'there is nothing else to see' END, is_right, is_right AND fits
FROM item, LATERAL (SELECT random() < 0.8 + 0 * item.id AS is_right,
  random() < :fit * 1.25 + 0 * item.id AS fits) said,
  (SELECT min(id) AS shard_id FROM run_shard WHERE run_id = :run) made
WHERE split <> 'train';
INSERT INTO score (run_id, run_attempt, split, name, value, n, low, high)
SELECT :run, attempt, split, name, value, n, value * 0.95, value * 1.05
FROM run, jsonb_to_recordset(CAST(:scores AS jsonb)) AS row (split text, name text, value float,
  n int) WHERE run.id = :run
"""
