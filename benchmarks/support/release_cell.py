"""One cell of benchmarks.releases: a judged round of a size, made into a release and written."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, pool, text

from benchmarks.support.cells import Config, Result

CANDIDATES, OVERLAP, PEOPLE = 8, 3, 20
PICTURES = 1_000

# Three people judge each item of eight candidates; each fits by chance of its number and theirs.
_FILL = """
INSERT INTO "user" (name, name_key, kind)
SELECT 'person-' || n, 'person-' || n, 'person' FROM generate_series(1, :people) n;
INSERT INTO project_image (project_id, image_sha256, split)
SELECT :project, sha256, 'train' FROM image;
INSERT INTO item (project_id, image_sha256, split, external_id, question, answer, gold_rationales)
SELECT :project, sha256, 'train', 'item-' || lpad(n::text, 8, '0'),
  'what color is ball number ' || n || '?', 'red', '["the ball is red"]'
FROM generate_series(1, :items) n
JOIN (SELECT sha256, row_number() OVER (ORDER BY sha256) - 1 AS place FROM image) shown
  ON shown.place = n % :pictures;
INSERT INTO round (project_id, number, status, settings, order_key)
SELECT :project, 1, 'training', settings, 'key' FROM project WHERE id = :project;
INSERT INTO run (project_id, round_id, job, status, attempt, finished_at)
SELECT :project, max(id), 'generate', 'succeeded', 1, now() FROM round;
INSERT INTO run_shard (run_id, number, item_ids, attempt) SELECT max(id), 1, '{}', 1 FROM run;
INSERT INTO candidate (item_id, text_key, text)
SELECT id, md5(id || '-' || n) || md5(n::text), 'ball ' || id || ' is red for reason ' || n
FROM item, generate_series(1, :candidates) n;
INSERT INTO sample (run_id, shard_id, shard_attempt, item_id, candidate_id, strategy, prompt,
  temperature, number, seed, log_probability, n_tokens)
SELECT run.id, run_shard.id, 1, item_id, candidate.id, 'direct', ', seeing that', 0.3,
  candidate.id % 8 + 1, candidate.id, -1.5, 9 FROM candidate, run, run_shard;
INSERT INTO round_item (round_id, project_id, item_id, split, purpose, state, slots, max_slots,
  n_taken, n_submitted, random_key)
SELECT (SELECT max(id) FROM round), :project, id, 'train', 'training', 'done', :overlap, :overlap,
  :overlap, :overlap, random() FROM item;
INSERT INTO round_candidate (round_id, candidate_id, item_id, is_shown, rank, n_draws, chosen_by)
SELECT (SELECT max(id) FROM round), id, item_id, true,
  row_number() OVER (PARTITION BY item_id ORDER BY id), 1, 'draws' FROM candidate;
INSERT INTO judgement (round_item_id, round_id, user_id, max_slots, shown_order, picked, status,
  slot, none_fits, submitted_at, active_ms)
SELECT place.id, place.round_id, who.id, :overlap, shown.ids,
  ARRAY(SELECT one.id FROM unnest(shown.ids) WITH ORDINALITY AS one (id, number)
    WHERE (one.number + who.id + place.id) % 3 = 0), 'submitted',
  slot, false, now(), 20000
FROM round_item place
JOIN (SELECT item_id, array_agg(id ORDER BY id) AS ids FROM candidate GROUP BY item_id) shown
  USING (item_id)
CROSS JOIN generate_series(1, :overlap) slot
JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM "user") who
  ON who.place = (place.id + slot * 7) % :people;
INSERT INTO verdict (judgement_id, candidate_id, round_id, none_fits, answer_is_wrong, fits,
  position)
SELECT judgement.id, shown.id, round_id, none_fits, false, shown.id = ANY (picked), shown.position
FROM judgement, unnest(shown_order) WITH ORDINALITY AS shown (id, position);
INSERT INTO admission (round_id, candidate_id, item_id, policy, judge_kind, n_fits, n_votes)
SELECT verdict.round_id, candidate_id, item_id, 'majority', 'person', sum(fits::int), count(*)
FROM verdict JOIN candidate ON candidate.id = candidate_id
GROUP BY verdict.round_id, candidate_id, item_id HAVING 2 * sum(fits::int) > count(*)
"""
_TABLES = (
    *("image", "project_image", "item", "candidate", "sample", "round_item", "round_candidate"),
    *("judgement", "verdict", "admission"),
)


def measure(config: Config) -> Result:
    """Returns the seconds and the greatest memory of each step, and what there was to do."""
    from app.embedded import embedded_services

    with tempfile.TemporaryDirectory() as name, embedded_services(Path(name)) as services:
        os.environ.update(  # noqa: TID251 - this process reads them as every other does
            ILLUME_HOME=name,
            STORE=f"{name}/store",
            DATABASE_URL=services.database_url or "",
            REDIS_URL=services.redis_url or "",
        )
        from app.kit.schema_upgrade import migrate

        migrate()
        project_id = _make_project()
        n_verdicts = _fill(project_id, config["verdicts"])
        return {"verdicts": n_verdicts, **_release(project_id, Path(name), config["files"])}


def _make_project() -> int:
    from app.kit.db import session_scope
    from app.kit.storage import put_image
    from app.models import Image, Project
    from app.round_settings import LoopSettings

    settings = LoopSettings.model_validate({"judging": {"overlap": OVERLAP}})
    with session_scope() as session:
        project = Project(
            name="Scenes",
            slug="scenes",
            settings=settings.model_dump(mode="json"),
            pseudonym_secret="secret",
            guidelines="Pick every rationale that fits.",
        )
        session.add(project)
        for number in range(PICTURES):
            content = _picture(number)
            sha256, _ = put_image(content, "image/png")
            session.add(
                Image(
                    sha256=sha256,
                    media_type="image/png",
                    width=64,
                    height=48,
                    n_bytes=len(content),
                )
            )
        session.flush()
        return project.id


def _picture(number: int) -> bytes:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    color = (number % 256, number // 256, 77)
    Image.new("RGB", (64, 48), color).save(buffer, "PNG")
    return buffer.getvalue()


def _fill(project_id: int, n_verdicts: int) -> int:
    """Judges so many items that there are as many verdicts; returns how many there are."""
    from app.embedded.postgres import SUPERUSER
    from app.kit.settings import get_settings

    url = make_url(get_settings().resolve_database_url()).set(username=SUPERUSER)
    engine = create_engine(url, poolclass=pool.NullPool)
    values = {
        "project": project_id,
        "items": -(-n_verdicts // (CANDIDATES * OVERLAP)),
        "candidates": CANDIDATES,
        "overlap": OVERLAP,
        "people": PEOPLE,
        "pictures": PICTURES,
    }
    with engine.begin() as connection:
        # Triggers and keys are left out while the rows come in.
        connection.execute(text("SET session_replication_role = replica"))
        for statement in _FILL.split(";\n"):
            connection.execute(text(statement), values)
        found = connection.execute(text("SELECT count(*) FROM verdict")).scalar_one()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"VACUUM ANALYZE {', '.join(_TABLES)}"))
    return int(found)


def _release(project_id: int, folder: Path, names: list[str]) -> Result:
    from app.kit.db import session_scope
    from app.models import Project
    from app.queries.releases.releases import get_release
    from app.services.releases.files import FILES
    from app.services.releases.releases import create_release, write_release

    def make() -> int:
        with session_scope() as session:
            project = session.get_one(Project, project_id)
            return create_release(session, project, actor=None).id

    steps: dict[str, Any] = {}
    release_id = _timed(steps, "make", make)
    with session_scope() as session:
        figures = get_release(session, release_id).card["figures"]
    n_rows = figures["candidates"] + figures["items"]
    for name in names:
        out = folder / f"{name}.zip"

        def write(name: str = name, out: Path = out) -> None:
            file = FILES[name]
            with session_scope() as session:
                release = get_release(session, release_id)
                write_release(session, release, format=file.format, by=file.by, out=out)

        _timed(steps, name, write)
        steps[name]["mb"] = out.stat().st_size / 2**20
        out.unlink()
    return {"rows": n_rows, "steps": steps}


def _timed(steps: dict[str, Any], name: str, work: Callable[[], Any]) -> Any:
    """Does the work, and notes its seconds and the greatest memory of this process meanwhile."""
    Path("/proc/self/clear_refs").write_text("5")  # the greatest so far is forgotten
    begun = time.perf_counter()
    result = work()
    steps[name] = {"seconds": time.perf_counter() - begun, "peak_mb": _peak_mb()}
    return result


def _peak_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
