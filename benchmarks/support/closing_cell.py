"""One cell of benchmarks.closing: a round that is nearly judged, real servers, and its end."""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import create_engine, make_url, pool, text

from benchmarks.support.cells import Config, Result
from benchmarks.support.judging_cell import FILLED, fill, quantiles, web_processes
from benchmarks.support.judging_load import Connection, Load, run_load
from benchmarks.support.light_worker import Workers, ask, peak_mb, start_light_worker, worker_pids

LEFT_PER_PERSON = 10
"""Items that each annotator finds when they come: the last ones of the round."""
MEANWHILE_ITEMS = 20_000
SLICE_SECONDS = 0.5
WARM_UP_SECONDS = 3.0
WARM_UP_PAGES = 3
LONGEST_SECONDS = 240.0


def measure(config: Config) -> Result:
    from app.embedded import embedded_services

    with tempfile.TemporaryDirectory() as name, embedded_services(Path(name)) as services:
        os.environ.update(  # noqa: TID251 - the servers that are started inherit it
            ILLUME_HOME=name,
            DATABASE_URL=services.database_url or "",
            REDIS_URL=services.redis_url or "",
            WEB_PROCESSES=str(config["web"]),
        )
        from app.kit.db import forget_engine
        from app.kit.schema_upgrade import migrate

        migrate()
        round_id, cookies = fill(config | {"overlap": 1, "order": "random"})
        other_id = _fill_judgements(config, round_id)
        forget_engine()
        with ExitStack() as stack:
            port, _ = stack.enter_context(web_processes(config["web"], Path(name) / "web.log"))
            people = start_light_worker(Path(name), stack)
            asyncio.run(run_load(config, other_id, port, cookies, WARM_UP_SECONDS))
            pages = asyncio.run(_time_closing_page(round_id, port, cookies[0]))
            n_left = LEFT_PER_PERSON * config["annotators"]
            last = asyncio.run(
                run_load(config, round_id, port, cookies, LONGEST_SECONDS, n_wanted=n_left)
            )
            meanwhile, steps, killed_at = _watch(
                config, (round_id, other_id), port, cookies, people
            )
            peak = max(people.peak_mb, *(peak_mb(pid) for pid in worker_pids()))
        return _result(round_id, pages, last, meanwhile, steps, killed_at) | {
            "peak_mb": peak,
            "load_average": os.getloadavg()[0],
        }


# ------------------------------------------------------------------------------------------ fill

_JUDGED = """
INSERT INTO judgement (round_item_id, round_id, user_id, max_slots, shown_order, picked, status,
  slot, none_fits, submitted_at)
SELECT place.id, :round, who.id, 1, shown.ids,
  CASE WHEN place.id % 3 = 0 THEN '{}' ELSE shown.ids[1:1 + (place.id % 2)::int] END, 'submitted',
  1, place.id % 3 = 0, now()
FROM round_item place
JOIN (SELECT item_id, array_agg(candidate_id ORDER BY rank) AS ids FROM round_candidate
  WHERE round_id = :round GROUP BY item_id) shown USING (item_id)
JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS number FROM "user") who
  ON who.number = place.id % (SELECT count(*) FROM "user")
WHERE place.round_id = :round ORDER BY place.id LIMIT :judged;
INSERT INTO verdict (judgement_id, candidate_id, round_id, none_fits, answer_is_wrong, fits,
  position)
SELECT judgement.id, shown.id, round_id, none_fits, false, shown.id = ANY (picked), shown.position
FROM judgement, unnest(shown_order) WITH ORDINALITY AS shown (id, position);
UPDATE round_item SET state = 'done', n_taken = 1, n_submitted = 1
WHERE id IN (SELECT round_item_id FROM judgement);
INSERT INTO round_annotator (round_id, user_id, n_submitted)
SELECT round_id, user_id, count(*) FROM judgement GROUP BY round_id, user_id;
UPDATE round SET settings = settings || '{"auto_advance": true}';
UPDATE "user" SET is_admin = true WHERE id = (SELECT min(id) FROM "user");
INSERT INTO project (name, slug, settings, pseudonym_secret)
SELECT 'Other scenes', 'other-scenes', settings, 'secret' FROM project;
INSERT INTO membership (project_id, user_id, role)
SELECT (SELECT max(id) FROM project), id, 'annotator' FROM "user";
INSERT INTO round (project_id, number, status, settings, order_key)
SELECT (SELECT max(id) FROM project), 1, 'judging', settings, 'other' FROM round;
INSERT INTO project_image (project_id, image_sha256, split)
SELECT (SELECT max(id) FROM project), sha256, 'train' FROM image;
INSERT INTO item (project_id, image_sha256, split, external_id, question, answer, gold_rationales)
SELECT (SELECT max(id) FROM project), image_sha256, 'train', external_id, question, answer, '[]'
FROM item WHERE id <= (SELECT min(id) FROM item) + :others - 1;
INSERT INTO candidate (item_id, text_key, text)
SELECT item.id, md5(item.id || '-' || n) || md5(n::text), 'it is red for reason ' || n
FROM item, generate_series(1, 3) n WHERE project_id = (SELECT max(id) FROM project);
INSERT INTO round_item (round_id, project_id, item_id, split, purpose, state, slots, max_slots,
  random_key)
SELECT (SELECT max(id) FROM round), project_id, id, 'train', 'training', 'open', 1, 1, random()
FROM item WHERE project_id = (SELECT max(id) FROM project);
INSERT INTO round_candidate (round_id, candidate_id, item_id, is_shown, rank, n_draws, chosen_by)
SELECT (SELECT max(id) FROM round), candidate.id, item_id, true,
  row_number() OVER (PARTITION BY item_id ORDER BY candidate.id), 3, 'draws'
FROM candidate JOIN item ON item.id = item_id
WHERE project_id = (SELECT max(id) FROM project)
"""


def _fill_judgements(config: Config, round_id: int) -> int:
    """Let all but the last items be judged, and open another project's round; returns that one."""
    from app.embedded.postgres import SUPERUSER
    from app.kit.settings import get_settings

    url = make_url(get_settings().resolve_database_url()).set(username=SUPERUSER)
    engine = create_engine(url, poolclass=pool.NullPool)
    values = {
        "round": round_id,
        "judged": config["items"] - LEFT_PER_PERSON * config["annotators"],
        "others": min(MEANWHILE_ITEMS, config["items"]),
    }
    with engine.begin() as connection:
        # Triggers and keys are left out while the rows come in; the counters are written above.
        connection.execute(text("SET session_replication_role = replica"))
        for statement in _JUDGED.split(";\n"):
            connection.execute(text(statement), values)
        other_id = connection.execute(text("SELECT max(id) FROM round")).scalar_one()
    tables = (*FILLED, "judgement", "verdict", "round_annotator")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"VACUUM ANALYZE {', '.join(tables)}"))
        connection.execute(text("CHECKPOINT"))
    return int(other_id)


# --------------------------------------------------------------------------------------- measure


async def _time_closing_page(round_id: int, port: int, cookie: str) -> list[float]:
    """Returns the milliseconds of the page that asks before judging is closed, asked for anew."""
    page = Connection(port, cookie)
    taken = []
    for number in range(-WARM_UP_PAGES, 7):
        started = time.perf_counter()
        reply = await page.ask("GET", f"/rounds/{round_id}/close", script=False)
        if number >= 0:
            taken.append((time.perf_counter() - started) * 1000)
        assert reply.status == 200, reply.body
    await page.close()
    return taken


_RUN = """
SELECT status, attempt, progress, worker.pid FROM run
LEFT JOIN worker ON worker.id = run.worker_id
WHERE run.round_id = :round AND job = 'close'
"""


def _watch(
    config: Config, rounds: tuple[int, int], port: int, cookies: Sequence[str], workers: Workers
) -> tuple[Load, list[str], float | None]:
    """Let people answer in another round until the closing is done; kill its worker once, if asked.

    Returns their times, the progress that a page would have shown, and when it was killed.
    """
    closing, other = rounds
    meanwhile = Load()
    steps: list[str] = []
    killed_at: float | None = None
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline:
        found = ask(_RUN, round=closing)
        status, _, progress, pid = found[0] if found else ("none", 0, {}, None)
        if status == "succeeded":
            return meanwhile, steps, killed_at
        assert status != "failed", ask("SELECT error FROM run WHERE job = 'close'")
        told = f"{progress.get('step')} {progress.get('done')}" if progress else ""
        if told and told not in steps:
            steps.append(told)
        if config["kill"] and killed_at is None and progress and progress["done"] and pid:
            workers.kill(int(str(pid)))
            killed_at = time.time()
        load = asyncio.run(run_load(config, other, port, cookies, SLICE_SECONDS))
        meanwhile.milliseconds["submit"] += load.milliseconds["submit"]
    raise AssertionError(f"the round was not closed: {ask(_RUN, round=closing)}\n{workers.log()}")


_END = """
SELECT extract(epoch FROM finished_at - created_at), extract(epoch FROM finished_at - started_at),
  extract(epoch FROM finished_at), attempt,
  (SELECT count(*) FROM admission WHERE round_id = :round),
  (SELECT count(*) FROM verdict WHERE round_id = :round AND fits),
  (SELECT count(*) FROM training_row), (SELECT status FROM round WHERE id = :round),
  (SELECT count(*) FROM run WHERE job = 'close')
FROM run WHERE round_id = :round AND job = 'close'
"""


def _result(  # noqa: PLR0917 - all that was measured
    round_id: int,
    pages: list[float],
    last: Load,
    meanwhile: Load,
    steps: list[str],
    killed_at: float | None,
) -> Result:
    row = ask(_END, round=round_id)[0]
    asked, worked, ended = (float(str(value)) for value in row[:3])
    attempt, n_admitted, n_fitting, n_rows, status, n_runs = row[3:]
    assert n_admitted == n_fitting, f"{n_admitted} admitted, {n_fitting} fit"
    assert (status, n_runs) == ("training", 1)
    return {
        "page_ms": {"median": statistics.median(pages), "max": max(pages)},
        "last_ms": quantiles(last, "submit"),
        "n_last": len(last.milliseconds["submit"]),
        "meanwhile_ms": quantiles(meanwhile, "submit"),
        "n_meanwhile": len(meanwhile.milliseconds["submit"]),
        "closing_seconds": worked if killed_at is None else None,
        "asked_seconds": asked,
        "after_death_seconds": None if killed_at is None else ended - killed_at,
        "attempt": attempt,
        "n_admitted": n_admitted,
        "n_rows": n_rows,
        "n_steps_seen": len(steps),
    }
