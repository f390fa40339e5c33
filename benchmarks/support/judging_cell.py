"""One cell of benchmarks.judging: a round, real servers, and a look into the database."""

import asyncio
import os
import re
import resource
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, make_url, text

from app.kit.errors import AppError
from benchmarks.support.cells import Config, Result
from benchmarks.support.judging_load import Load, run_load

WARM_UP_SECONDS = 3.0
START_SECONDS = 240.0
"""The longest that the web processes may take to start, on a machine that does much else."""
N_IMAGES = 500
_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


def measure(config: Config) -> Result:
    from app.embedded import embedded_services

    with tempfile.TemporaryDirectory() as name, embedded_services(Path(name)) as services:
        os.environ.update(  # noqa: TID251 - the servers that are started inherit it
            ILLUME_HOME=name,
            DATABASE_URL=services.database_url or "",
            REDIS_URL=services.redis_url or "",
            WEB_PROCESSES=str(config["web"]),
        )
        from app.kit.db import forget_engine, get_engine
        from app.kit.schema_upgrade import migrate

        migrate()
        round_id, cookies = fill(config)
        forget_engine()  # what this process did is in the statistics from here on
        with web_processes(config["web"], Path(name) / "web.log") as (port, pids):
            # One item each warms up for a drain: what it measures is there only once.
            is_drain = config["kind"] == "drain"
            warm_up = 0.0 if is_drain else min(WARM_UP_SECONDS, config["seconds"])
            warm = asyncio.run(run_load(config, round_id, port, cookies, warm_up))
            n_left = config["items"] * config["overlap"] - len(warm.acknowledged)
            wanted = n_left if is_drain else None
            before = Meters.read(pids)
            load = asyncio.run(
                run_load(config, round_id, port, cookies, config["seconds"], n_wanted=wanted)
            )
            after = Meters.read(pids)
            _require(
                bool(load.acknowledged),
                "The queue was empty before anything was measured. Measure with more items, or "
                "fewer people.",
            )
        # Servers that have ended have told the database's statistics all that they did.
        with get_engine().connect() as connection:
            stored = check(connection, config, warm.acknowledged | load.acknowledged)
            commits, fsyncs = statistics_of(connection)
            n_all = len(warm.acknowledged | load.acknowledged)
            settings = {
                name: str(connection.execute(text(f"SHOW {name}")).scalar_one())
                for name in ("fsync", "synchronous_commit")
            }
        forget_engine()
    n = len(load.acknowledged)
    return {
        "per_second": n / load.seconds,
        "n_judgements": n,
        "n_acknowledged": n_all,
        "n_stored": stored,
        "submit_ms": quantiles(load, "submit"),
        "next_ms": quantiles(load, "next"),
        "draft_ms": quantiles(load, "draft"),
        "web_cpu_ms": (after.web - before.web) / n,
        "database_cpu_ms": (after.database - before.database) / n,
        "load_cpu_ms": (after.load - before.load) / n,
        "commits": commits / n_all,
        "fsyncs": fsyncs / n_all,
        "settings": settings,
        "load_average": os.getloadavg()[0],
    }


def quantiles(load: Load, kind: str) -> dict[str, float] | None:
    times = load.milliseconds.get(kind, [])
    if len(times) < 2:
        return None
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98]}


# ----------------------------------------------------------------------------------------- fill


def fill(config: Config) -> tuple[int, list[str]]:
    """A round in judging with its items open, three candidates each or `candidates` of them, and
    a session per annotator."""
    from app.kit.db import session_scope
    from app.kit.settings import get_settings
    from app.models import Membership, Project, Round, User
    from app.round_settings import JudgingSettings, LoopSettings
    from app.services.accounts.accounts import start_session
    from app.web.http.sessions import Cookies

    settings = LoopSettings(
        judging=JudgingSettings(overlap=config["overlap"], order=config["order"]),
        auto_advance=False,
    ).model_dump(mode="json")
    with session_scope() as session:
        project = Project(
            name="Scenes", slug="scenes", settings=settings, pseudonym_secret="secret",
            guidelines="Pick **every** rationale that fits.\n\n- It is true.\n- It explains why.",
        )  # fmt: skip
        session.add(project)
        session.flush()
        round_ = Round(
            project_id=project.id, number=1, status="judging", settings=settings, order_key="key"
        )
        people = [User(name=f"person-{n}") for n in range(config["annotators"])]
        session.add_all([round_, *people])
        session.flush()
        session.add_all(
            Membership(project_id=project.id, user_id=one.id, role="annotator") for one in people
        )
        ids = {"project": project.id, "round": round_.id}
        ours = Cookies.of(get_settings())
        marks = [ours.sessions.dumps([one.id, start_session(session, one)]) for one in people]
        cookies = [f"{ours.session_name}={mark}" for mark in marks]
    copy_in(config, ids)
    return ids["round"], cookies


FILLED = ("image", "project_image", "item", "candidate", "round_item", "round_candidate")
# Keys and triggers are left out while the rows come in; the check at the end does without them.
_FILL = """
INSERT INTO image (sha256, media_type, width, height, n_bytes)
SELECT lpad(n::text, 64, '0'), 'image/png', 640, 480, 1000 FROM generate_series(1, :images) n;
INSERT INTO project_image (project_id, image_sha256, split)
SELECT :project, sha256, 'train' FROM image;
INSERT INTO item (project_id, image_sha256, split, external_id, question, answer, gold_rationales)
SELECT :project, lpad((n % :images + 1)::text, 64, '0'), 'train', 'item-' || n,
  'what color is ball number ' || n || '?', 'red', '[]' FROM generate_series(1, :items) n;
INSERT INTO candidate (item_id, text_key, text)
SELECT id, md5(id || '-' || n) || md5(n::text), 'ball ' || id || ' is red for reason ' || n
FROM item, generate_series(1, :candidates) n;
INSERT INTO round_item (round_id, project_id, item_id, split, purpose, state, slots, max_slots,
  priority, taken_weight, random_key)
SELECT :round, :project, id, 'train', 'training', 'open', :overlap, :overlap,
  CASE WHEN :order = 'uncertainty' THEN floor(random() * 16) / 16 ELSE 0 END,
  CASE WHEN :order = 'fewest_first' THEN 1 ELSE 0 END, random() FROM item;
INSERT INTO round_candidate (round_id, candidate_id, item_id, is_shown, rank, n_draws, chosen_by)
SELECT :round, id, item_id, true, row_number() OVER (PARTITION BY item_id ORDER BY id), 3, 'draws'
FROM candidate
"""


def copy_in(config: Config, ids: dict[str, int]) -> None:
    from sqlalchemy import create_engine, pool

    from app.embedded.postgres import SUPERUSER
    from app.kit.settings import get_settings

    url = make_url(get_settings().resolve_database_url()).set(username=SUPERUSER)
    engine = create_engine(url, poolclass=pool.NullPool)
    values = ids | {
        "items": config["items"], "overlap": config["overlap"], "order": config["order"],
        "images": N_IMAGES, "candidates": config.get("candidates", 3),
    }  # fmt: skip
    with engine.begin() as connection:
        connection.execute(text("SET session_replication_role = replica"))
        for statement in _FILL.split(";"):
            connection.execute(text(statement), values)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # Not the tables that are empty: the planner would take them for ever so small.
        connection.execute(text(f"VACUUM ANALYZE {', '.join(FILLED)}"))
        connection.execute(text("CHECKPOINT"))
        connection.execute(text("SELECT pg_stat_reset()"))
        connection.execute(text("SELECT pg_stat_reset_shared('io')"))


# --------------------------------------------------------------------------------------- servers


@contextmanager
def web_processes(number: int, log: Path) -> Iterator[tuple[int, list[int]]]:
    """The web processes of `illume up`, on one socket; its port and their numbers."""
    import signal

    from app.kit.processes.children import start_process, stop_process
    from app.kit.settings import get_settings
    from app.supervisor.address import listen
    from app.supervisor.commands import web_command

    with listen("127.0.0.1", 0) as listener, log.open("ab") as output:
        command = web_command(get_settings(), listener.fileno())
        servers = [
            start_process(command, output=output, pass_fds=(listener.fileno(),))
            for _ in range(number)
        ]
        try:
            _wait_until_ready(servers, listener, log)
            yield listener.getsockname()[1], [server.pid for server in servers]
        finally:
            for server in servers:
                stop_process(server, (signal.SIGTERM, 20.0))


def _wait_until_ready(
    servers: Sequence["subprocess.Popen[bytes]"], listener: socket.socket, log: Path
) -> None:
    """Wait until each process takes connections: one alone would get every connection."""
    from app.supervisor.address import is_ready

    host, port = listener.getsockname()
    inode = os.fstat(listener.fileno()).st_ino
    deadline = time.monotonic() + START_SECONDS
    while not (all(_accepts(one.pid, inode) for one in servers) and is_ready(host, port)):
        said = log.read_text(errors="replace").strip()[-2000:] or "nothing"
        has_ended = any(server.poll() is not None for server in servers)
        _require(not has_ended, f"A web process ended instead of starting. It said: {said}")
        _require(
            time.monotonic() < deadline,
            f"The web processes did not start within {START_SECONDS:.0f} s. They said: {said}",
        )
        time.sleep(0.05)


_WATCHED = re.compile(r"^tfd:.* ino:([0-9a-f]+)", re.MULTILINE)


def _accepts(pid: int, inode: int) -> bool:
    """Whether a process waits for connections on a socket: its event loop watches it."""
    with suppress(OSError):  # what was open a moment ago may be closed
        for open_file in Path(f"/proc/{pid}/fdinfo").iterdir():
            if inode in {int(found, 16) for found in _WATCHED.findall(open_file.read_text())}:
                return True
    return False


class Meters:
    """CPU time so far, in milliseconds: of the web processes, of PostgreSQL, of the load."""

    def __init__(self, web: float, database: float, load: float) -> None:
        self.web, self.database, self.load = web, database, load

    @classmethod
    def read(cls, web_pids: Sequence[int]) -> "Meters":
        own = resource.getrusage(resource.RUSAGE_SELF)
        return cls(
            sum(_cpu_ms(pid) for pid in web_pids),
            sum(_cpu_ms(pid) for pid in _postgres_pids()),
            (own.ru_utime + own.ru_stime) * 1000,
        )


def _postgres_pids() -> list[int]:
    """The server that this process started, and its backends."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                head, _, rest = (entry / "stat").read_text().rpartition(")")
            except OSError:
                continue
            parents[int(entry.name)] = (head.partition("(")[2], int(rest.split()[1]))
    own = {
        p for p, (name, parent) in parents.items() if "postgres" in name and parent == os.getpid()
    }
    return [p for p, (_, parent) in parents.items() if p in own or parent in own]


def _cpu_ms(pid: int) -> float:
    """Returns the processor time of a process and of its ended children; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0  # its parent has counted it among its children
    return sum(int(field) for field in fields[11:15]) * _TICK_MS


# ----------------------------------------------------------------------------------------- check


def statistics_of(connection: Connection) -> tuple[int, int]:
    """(commits, flushes of the write-ahead log to disk) since the round was filled."""
    commits = connection.execute(
        text("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
    ).scalar_one()
    fsyncs = connection.execute(
        text(
            "SELECT coalesce(sum(fsyncs), 0) FROM pg_stat_io"
            " WHERE object = 'wal' AND backend_type = 'client backend'"
        )
    ).scalar_one()
    return int(commits), int(fsyncs)


_COUNTERS = """
SELECT count(*) FROM round_item LEFT JOIN (
  SELECT round_item_id, count(*) AS taken, count(*) FILTER (WHERE status = 'submitted') AS done
  FROM judgement WHERE slot IS NOT NULL GROUP BY round_item_id
) live ON live.round_item_id = round_item.id
WHERE n_taken <> coalesce(taken, 0) OR n_submitted <> coalesce(done, 0)
  OR n_taken > slots OR slots <> :overlap OR (state = 'done') <> (coalesce(done, 0) = slots)
"""


def check(connection: Connection, config: Config, acknowledged: set[int]) -> int:
    """Returns how many submissions are stored; fails unless they are exactly those acknowledged."""
    stored = set(
        connection.execute(text("SELECT id FROM judgement WHERE status = 'submitted'")).scalars()
    )
    _require(
        stored == acknowledged,
        f"{len(acknowledged - stored)} acknowledged submissions are not stored, and "
        f"{len(stored - acknowledged)} are stored that nobody was told of.",
    )
    verdicts = connection.execute(
        text("SELECT count(*) FROM verdict WHERE judgement_id = ANY(:ids)"), {"ids": list(stored)}
    ).scalar_one()
    _require(
        verdicts == 3 * len(stored), f"{verdicts} verdicts are stored instead of {3 * len(stored)}."
    )
    odd = connection.execute(text(_COUNTERS), {"overlap": config["overlap"]}).scalar_one()
    _require(odd == 0, f"{odd} items have wrong counters or slots.")
    n_left = config["items"] * config["overlap"] - len(stored)
    _require(
        config["kind"] != "drain" or n_left == 0,
        f"{n_left} judgements were left to do after {config['seconds']} s.",
    )
    return len(stored)


def _require(is_so: bool, otherwise: str) -> None:
    """Raises AppError with the sentence unless it is so."""
    if not is_so:
        raise AppError(otherwise)
