"""One cell of benchmarks.large_round: a judged round, real servers, and an admin who looks."""

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, pool, text

from app.run_results import DrawCounts, JudgingEffort, RoundFigures, SamplingResult
from benchmarks.support.cells import Config, Result
from benchmarks.support.judging_cell import FILLED, fill, web_processes
from benchmarks.support.judging_load import Connection
from benchmarks.support.light_worker import ask, peak_mb, start_light_worker, worker_pids

N_OPEN = 50
"""Items that nobody has judged."""
TIMES = 20
"""How often a page is asked for, after it was asked for three times."""
WARM_UP_TIMES = 3
LONGEST_SECONDS = 600.0

PAGES = (
    "/rounds/{round}",
    "/rounds/{round}/status",
    "/rounds/{round}/close",
    "/rounds/{round}/policies",
    "/rounds/{round}/policies?one=majority&other=unanimous",
    "/rounds/{round}/adjudication",
    "/rounds/{round}/adjudication/decided",
    "/rounds/{round}/map",
    "/rounds/{round}/mine",
    "/projects/scenes",
    "/projects/scenes/items",
    "/projects/scenes/checks",
    "/projects/scenes/people",
    "/projects/scenes/people/{person}",
    "/projects/scenes/releases",
    "/projects/scenes/side-by-side?before=1&after=2",
    "/projects/scenes/side-by-side/items?before=1&after=2",
    "/projects/scenes/playground",
    "/mine",
    "/",
)


@dataclass(frozen=True)
class FilledRound:
    """An installation with a large round that people have judged, and an admin's session."""

    home: Path
    round_id: int
    cookie: str


@contextmanager
def filled_round(config: Config) -> Iterator[FilledRound]:
    """Gives PostgreSQL and Redis of its own with the round in it, as long as the block lasts."""
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
        round_id, cookies = fill(config | {"order": "random"})
        _fill_judgements(config, round_id)
        forget_engine()
        yield FilledRound(Path(name), round_id, cookies[0])


def measure(config: Config) -> Result:
    with filled_round(config) as filled, ExitStack() as stack:
        round_id, admin = filled.round_id, filled.cookie
        result: Result = {
            "n_verdicts": ask("SELECT count(*) FROM verdict")[0][0],
            "count_seconds": _time_counting(round_id),
        }
        port, _ = stack.enter_context(web_processes(config["web"], filled.home / "web.log"))
        workers = start_light_worker(filled.home, stack)
        asyncio.run(post(port, admin, f"/rounds/{round_id}/evidence"))
        result["assess_seconds"] = wait_for("assess", workers.log)
        result["assess_mb"] = max(peak_mb(pid) for pid in worker_pids())
        [[person]] = ask('SELECT max(id) FROM "user"')
        addresses = [page.format(round=round_id, person=person) for page in PAGES]
        result["pages"] = asyncio.run(_time_pages(port, admin, addresses))
        asyncio.run(post(port, admin, f"/rounds/{round_id}/close"))
        result["closing_seconds"] = wait_for("close", workers.log)
        result["closing_mb"] = max(peak_mb(pid) for pid in worker_pids())
        return result | {"load_average": os.getloadavg()[0]}


JUDGED = """
CREATE TEMPORARY TABLE said AS
SELECT place.id AS place_id, who.id AS user_id, turn, shown.candidate_id,
  (hashint8(shown.candidate_id) % 3 = 0) <> (random() < 0.08) AS fits,
  row_number() OVER (PARTITION BY place.id, turn
    ORDER BY hashint8extended(shown.candidate_id, turn)) AS position
FROM (SELECT id, item_id, row_number() OVER (ORDER BY id) AS number FROM round_item
  WHERE round_id = :round ORDER BY id LIMIT :judged) place
CROSS JOIN generate_series(1, :overlap) turn
JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS number FROM "user") who
  ON who.number = (place.number * 7 + turn * (1 + place.number % 5)) % (SELECT count(*) FROM "user")
JOIN round_candidate shown ON shown.round_id = :round AND shown.item_id = place.item_id;
INSERT INTO judgement (round_item_id, round_id, user_id, max_slots, shown_order, picked, status,
  slot, none_fits, submitted_at, active_ms, n_words)
SELECT place_id, :round, user_id, :overlap, array_agg(candidate_id ORDER BY position),
  coalesce(array_agg(candidate_id ORDER BY position) FILTER (WHERE fits), '{}'), 'submitted',
  turn, NOT bool_or(fits), now() - random() * interval '10 days', 8000 + random() * 30000,
  108
FROM said GROUP BY place_id, user_id, turn ORDER BY place_id;
INSERT INTO verdict (judgement_id, candidate_id, round_id, none_fits, answer_is_wrong, fits,
  position)
SELECT judgement.id, candidate_id, :round, none_fits, false, fits, position
FROM judgement JOIN said ON place_id = round_item_id AND said.user_id = judgement.user_id
ORDER BY judgement.id;
UPDATE round_item SET state = 'done', n_taken = :overlap, n_submitted = :overlap
WHERE id IN (SELECT place_id FROM said);
UPDATE round_item SET disputed = found.ids FROM (
  SELECT place_id, array_agg(candidate_id ORDER BY candidate_id) AS ids FROM (
    SELECT place_id, candidate_id FROM said GROUP BY place_id, candidate_id
    HAVING bool_or(fits) AND NOT bool_and(fits)
  ) differing GROUP BY place_id
) found WHERE found.place_id = round_item.id;
INSERT INTO round_annotator (round_id, user_id, n_submitted)
SELECT :round, user_id, count(DISTINCT place_id) FROM said GROUP BY user_id;
DROP TABLE said
"""
"""Lets people judge the first items of a round, each in an order of their own. 8 % of what they say
is otherwise than the rest says."""

_AROUND = """
INSERT INTO adjudication (round_id, item_id, candidate_id, fits, decided_by_id, decided_at)
SELECT :round, item_id, candidate_id, random() < 0.5, (SELECT min(id) FROM "user"),
  now() - random_key * interval '1 day'
FROM round_item, unnest(disputed) AS candidate_id WHERE random_key < 0.5;
UPDATE round_item SET is_decided = true WHERE random_key < 0.5 AND disputed <> '{}';
INSERT INTO run (project_id, round_id, job, strategy, role, status, parameters, attempt, result,
  started_at, finished_at)
SELECT project_id, id, 'generate', 'direct', 'reasoner', 'succeeded', '{}', 1, :counts, now(), now()
FROM round WHERE id = :round;
UPDATE "user" SET is_admin = true WHERE id = (SELECT min(id) FROM "user");
UPDATE round SET number = 2 WHERE id = :round;
INSERT INTO round (project_id, number, status, settings, order_key, decision, decision_reason,
  figures)
SELECT project_id, 1, 'completed', settings, 'earlier', 'continue', '"It goes on."', :figures
FROM round WHERE id = :round;
INSERT INTO round_item (round_id, project_id, item_id, split, purpose, state, slots, max_slots,
  n_taken, n_submitted, random_key)
SELECT (SELECT max(id) FROM round), project_id, item_id, split, purpose, 'done', slots, max_slots,
  slots, slots, random() FROM round_item WHERE round_id = :round;
INSERT INTO admission (round_id, candidate_id, item_id, policy, judge_kind, n_fits, n_votes)
SELECT (SELECT max(id) FROM round), id, item_id, 'majority', 'person', 2, 3 FROM candidate
WHERE hashint8(id) % 6 = 0
"""


def _fill_judgements(config: Config, round_id: int) -> None:
    """Let all but the last items be judged."""
    n = config["items"] * config["candidates"]
    counts = DrawCounts(draws=3 * n, candidates=n, shown=n)
    effort = JudgingEffort(judgements=n, counted_ms=20_000 * n)
    values = {
        "round": round_id,
        "judged": config["items"] - N_OPEN,
        "overlap": config["overlap"],
        "counts": json.dumps(SamplingResult(counts=counts).dump()),
        "figures": json.dumps(RoundFigures(n_items=config["items"], effort=effort).dump()),
    }
    tables = (*FILLED, "judgement", "verdict", "round_annotator", "adjudication")
    put_in(f"{JUDGED};\n{_AROUND}", values, tables)


def put_in(statements: str, values: Mapping[str, Any], tables: Sequence[str]) -> None:
    """Runs statements without triggers and keys, which leaves out counters too, and tells the
    planner of the tables that they have filled."""
    from app.embedded.postgres import SUPERUSER
    from app.kit.settings import get_settings

    url = make_url(get_settings().resolve_database_url()).set(username=SUPERUSER)
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.begin() as connection:
        connection.execute(text("SET session_replication_role = replica"))
        for statement in statements.split(";\n"):
            connection.execute(text(statement), dict(values))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"VACUUM ANALYZE {', '.join(tables)}"))
        connection.execute(text("CHECKPOINT"))


# --------------------------------------------------------------------------------------- measure


def _time_counting(round_id: int) -> float:
    """Returns the seconds, in the median of five, of counting the votes for all policies."""
    from app.kit.db import session_scope
    from app.models import Round
    from app.services.admission.preview import count_votes

    taken = []
    for _ in range(5):
        with session_scope() as session:
            round_ = session.get_one(Round, round_id)
            started = time.perf_counter()
            count_votes(session, round_)
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


async def post(port: int, cookie: str, path: str) -> None:
    person = Connection(port, cookie)
    reply = await person.ask("POST", path, script=False)
    assert reply.status in {200, 303}, reply.body
    await person.close()


async def _time_pages(port: int, cookie: str, addresses: Sequence[str]) -> dict[str, Result]:
    """Returns the milliseconds of each page, asked for in turn, with the size of what came."""
    person = Connection(port, cookie)
    found: dict[str, Result] = {}
    for address in addresses:
        taken = []
        for number in range(-WARM_UP_TIMES, TIMES):
            started = time.perf_counter()
            reply = await person.ask("GET", address, script=False)
            if number >= 0:
                taken.append((time.perf_counter() - started) * 1000)
        cuts = statistics.quantiles(taken, n=20, method="inclusive")
        found[address] = {
            "status": reply.status, "p50": cuts[9], "p95": cuts[18], "kb": len(reply.body) / 1024,
        }  # fmt: skip
    await person.close()
    return found


_RUN = """
SELECT status, extract(epoch FROM finished_at - started_at), error FROM run WHERE job = :job
ORDER BY id DESC LIMIT 1
"""


def wait_for(job: str, log: object, longest: float = LONGEST_SECONDS) -> float:
    """Returns the seconds that the newest run of a job took, once it has ended well."""
    deadline = time.monotonic() + longest
    while time.monotonic() < deadline:
        found = ask(_RUN, job=job)
        if found and found[0][0] == "succeeded":
            return float(found[0][1])
        assert not found or found[0][0] != "failed", found
        time.sleep(0.2)
    raise AssertionError(f"{job} did not end: {ask(_RUN, job=job)} {log}")
