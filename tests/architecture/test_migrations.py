"""Migrations go up, down and up again, and end where the models are."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, pool, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.embedded import EmbeddedServices
from app.kit.resources import MIGRATIONS
from app.kit.schema_upgrade import list_migrations, newest_migration
from app.kit.sentences import Sentence, Share, unpack
from app.kit.settings import get_settings
from app.lifecycle import RoundStatus
from app.models import Base, Candidate, Round, TrainingRow
from app.same_text import text_key
from app.services.judging.ending import end_if_all_judged
from tests.architecture.lock import REPOSITORY
from tests.support.databases import connected, new_database
from tests.support.rounds_in_process import close_now

# What PostgreSQL itself says about every table, constraint, index, trigger and function of ours.
# `alembic check` compares neither checks nor triggers; this does.
STRUCTURE = """
SELECT 'column', table_name || '.' || column_name,
       concat_ws(' ', udt_name, character_maximum_length, is_nullable, column_default, is_identity)
FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL
SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
UNION ALL
SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'trigger', tgrelid::regclass || '.' || tgname, pg_get_triggerdef(oid)
FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT 'function', oid::regprocedure::text, pg_get_functiondef(oid)
FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL
SELECT 'sequence', sequencename, data_type::text FROM pg_sequences WHERE schemaname = 'public'
"""
# Made by migrations only: the models know neither.
ONLY_MIGRATED = {"trigger", "function"}

Structure = dict[tuple[str, str], str]


@pytest.fixture
def fresh_database(services: EmbeddedServices) -> Iterator[str]:
    """The address of an empty database in the tests' server."""
    with new_database(services) as url:
        yield url


@pytest.fixture
def alembic(fresh_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    """Alembic's commands, turned to the fresh database."""
    monkeypatch.setenv("DATABASE_URL", fresh_database)
    get_settings.cache_clear()
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    yield config
    monkeypatch.undo()
    get_settings.cache_clear()


def read_structure(url: str) -> Structure:
    with connected(url) as connection:
        rows = connection.execute(text(STRUCTURE)).all()
    return {
        (kind, name): definition
        for kind, name, definition in rows
        if "alembic_version" not in name and not name.startswith("alembic")
    }


def test_up_down_up_leads_to_the_same_schema(alembic: Config, fresh_database: str) -> None:
    command.upgrade(alembic, "head")
    first = read_structure(fresh_database)
    assert ("trigger", "judgement.count_slots") in first
    command.downgrade(alembic, "base")
    assert read_structure(fresh_database) == {}
    command.upgrade(alembic, "head")
    assert read_structure(fresh_database) == first


@pytest.mark.slow
def test_every_revision_can_be_taken_back_alone(alembic: Config, fresh_database: str) -> None:
    revisions = [
        script.revision for script in ScriptDirectory.from_config(alembic).walk_revisions()
    ]
    for revision in reversed(revisions):
        before = read_structure(fresh_database)
        command.upgrade(alembic, revision)
        after = read_structure(fresh_database)
        command.downgrade(alembic, "-1")
        assert read_structure(fresh_database) == before
        command.upgrade(alembic, revision)
        assert read_structure(fresh_database) == after


def test_there_is_one_head(alembic: Config) -> None:
    assert len(ScriptDirectory.from_config(alembic).get_heads()) == 1


def test_migrations_are_read_from_their_files_as_alembic_reads_them(alembic: Config) -> None:
    scripts = ScriptDirectory.from_config(alembic)
    assert list_migrations() == {script.revision for script in scripts.walk_revisions()}
    assert newest_migration() == scripts.get_current_head()


def test_models_need_no_migration_that_is_not_there(alembic: Config) -> None:
    command.upgrade(alembic, "head")
    command.check(alembic)  # raises and names the difference


def test_migrated_schema_is_that_of_the_models(
    alembic: Config, fresh_database: str, services: EmbeddedServices
) -> None:
    """Also where Alembic does not look: checks, index conditions, what a delete does."""
    command.upgrade(alembic, "head")
    with new_database(services) as url:
        with connected(url) as connection:
            Base.metadata.create_all(connection)
        modelled = read_structure(url)
    migrated = read_structure(fresh_database)
    migrated = {key: value for key, value in migrated.items() if key[0] not in ONLY_MIGRATED}
    assert migrated == modelled


def test_processes_that_start_together_migrate_one_after_the_other(
    alembic: Config, fresh_database: str
) -> None:
    upgrade = [sys.executable, "-m", "alembic", "upgrade", "head"]
    started = [
        subprocess.Popen(upgrade, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(3)
    ]
    for process in started:
        output = process.communicate(timeout=120)[0].decode()
        assert process.returncode == 0, output
    assert ("trigger", "judgement.count_slots") in read_structure(fresh_database)


# --- Keys of candidates --------------------------------------------------------------------


def key_before(normal_form: str) -> str:
    """The key of a text before 0011, given what was left of it then."""
    return hashlib.sha256(normal_form.encode()).hexdigest()


# Text, what the older rule left of it, and whether it is judged.
CANDIDATES = [
    ("it is -5 degrees", "it is 5 degrees", True),
    ("it is 👍", "it is", False),
    ("%", "", False),
    ("３ dogs", "３ dogs", False),
    ("3 dogs", "3 dogs", True),
    ("-3 DOGS", "3 dogs.", False),
]
FILLED = """
INSERT INTO image (sha256, media_type, width, height, n_bytes)
VALUES (repeat('a', 64), 'image/png', 4, 4, 9);
INSERT INTO project (name, slug, pseudonym_secret) VALUES ('Scenes', 'scenes', 's');
INSERT INTO project_image (project_id, image_sha256, split) SELECT id, repeat('a', 64), 'train'
FROM project;
INSERT INTO item (project_id, image_sha256, split, external_id, question, answer)
SELECT id, repeat('a', 64), 'train', 'q1', 'what?', 'red' FROM project;
INSERT INTO round (project_id, number, status, settings, order_key)
SELECT id, 1, 'training', '{}', 'a' FROM project;
INSERT INTO round_item
  (round_id, project_id, item_id, split, purpose, slots, max_slots, random_key, state)
SELECT round.id, project_id, item.id, 'train', 'training', 1, 1, 0.5, 'done'
FROM round JOIN item USING (project_id);
"""
ADMIT = """
INSERT INTO admission (round_id, candidate_id, item_id, policy, judge_kind, n_fits, n_votes)
SELECT round_id, candidate.id, item_id, 'majority', 'person', 1, 1
FROM candidate JOIN round_item USING (item_id) WHERE candidate.text = :text
"""


def fill(url: str) -> None:
    """An item with candidates, in a database of before 0011."""
    with connected(url) as connection:
        for statement in FILLED.split(";\n"):
            connection.execute(text(statement.strip() or "SELECT 1"))
        for written, normal_form, is_judged in CANDIDATES:
            connection.execute(
                text("INSERT INTO candidate (item_id, text_key, text) SELECT id, :k, :t FROM item"),
                {"k": key_before(normal_form), "t": written},
            )
            if is_judged:
                connection.execute(text(ADMIT), {"text": written})


def read_candidates(url: str, columns: str) -> list[tuple[object, ...]]:
    with connected(url) as connection:
        return [
            tuple(row)
            for row in connection.execute(
                text(f"SELECT {columns} FROM candidate ORDER BY id")  # noqa: S608 - columns are of this file
            )
        ]


def test_candidates_of_a_filled_database_get_the_keys_of_their_texts(
    alembic: Config, fresh_database: str
) -> None:
    command.upgrade(alembic, "0010")
    fill(fresh_database)
    before = read_candidates(fresh_database, "id, item_id, text, author_kind, created_at")

    command.upgrade(alembic, "0011")
    assert read_candidates(fresh_database, "id, item_id, text, author_kind, created_at") == before
    keys = dict(read_candidates(fresh_database, "text, text_key"))
    # "３ dogs" and "3 dogs" are one text now: the judged one has the key, the other keeps its row.
    assert keys.pop("３ dogs") not in {text_key("3 dogs"), key_before("３ dogs")}
    assert keys == {written: text_key(written) for written in keys}
    assert len(set(keys.values())) == 5
    assert {row[0] for row in read_candidates(fresh_database, "key_version")} == {1}
    with connected(fresh_database) as connection:
        assert connection.execute(text("SELECT count(*) FROM admission")).scalar_one() == 2
        new = "INSERT INTO candidate (item_id, text_key, text) SELECT id, 'k', 'new' FROM item"
        connection.execute(text(new))
    assert read_candidates(fresh_database, "key_version")[-1] == (2,)

    command.downgrade(alembic, "0010")
    assert len(read_candidates(fresh_database, "id")) == len(CANDIDATES) + 1
    keys = dict(read_candidates(fresh_database, "text, text_key"))
    assert keys["it is -5 degrees"] == key_before("it is 5 degrees")
    assert keys["%"] == key_before("")


def test_a_candidate_still_never_changes_after_its_key_was_made_anew(
    alembic: Config, fresh_database: str
) -> None:
    command.upgrade(alembic, "0010")
    fill(fresh_database)
    command.upgrade(alembic, "0011")
    with (
        pytest.raises(IntegrityError, match="append-only"),
        connected(fresh_database) as connection,
    ):
        connection.execute(text("UPDATE candidate SET text = 'other'"))


def test_accounts_whose_names_look_alike_are_all_kept(alembic: Config, fresh_database: str) -> None:
    command.upgrade(alembic, "0014")
    names = ["Jos\u00e9", "Ada", "Jose\u0301", "\uff21\uff44\uff41", "critic exact"]
    with connected(fresh_database) as connection:
        for name in names:
            connection.execute(text('INSERT INTO "user" (name) VALUES (:name)'), {"name": name})
    command.upgrade(alembic, "0015")
    with connected(fresh_database) as connection:
        rows = connection.execute(text('SELECT name, name_key, name_twin FROM "user" ORDER BY id'))
        assert [tuple(row) for row in rows] == [
            ("Jos\u00e9", "jos\u00e9", 0),
            ("Ada", "ada", 0),
            ("Jose\u0301", "jos\u00e9", 1),
            ("\uff21\uff44\uff41", "ada", 1),
            ("critic exact", "critic exact", 0),
        ]
    command.downgrade(alembic, "0014")
    with connected(fresh_database) as connection:
        kept = connection.execute(text('SELECT name FROM "user" ORDER BY id')).scalars()
        assert list(kept) == names


# --- Erased people -------------------------------------------------------------------------

JUDGED = """
INSERT INTO "user" (name, name_key) VALUES ('Noor', 'noor');
INSERT INTO judgement (round_item_id, round_id, user_id, max_slots, shown_order, status, slot,
  none_fits, submitted_at)
SELECT round_item.id, round_id, "user".id, max_slots, '{}', 'submitted', 1, true, now()
FROM round_item, "user";
INSERT INTO written_rationale (judgement_id, candidate_id, item_id, text)
SELECT judgement.id, candidate.id, item_id, 'her own words' FROM judgement, candidate
WHERE candidate.text = '3 dogs';
INSERT INTO event (actor_id, tag) SELECT id, 'user:added' FROM "user";
"""
WRITTEN = "SELECT text FROM written_rationale"


def test_a_filled_database_takes_up_erasing_and_gives_it_back_without_the_text(
    alembic: Config, fresh_database: str
) -> None:
    command.upgrade(alembic, "0010")
    fill(fresh_database)
    command.upgrade(alembic, "0016")
    with connected(fresh_database) as connection:
        for statement in JUDGED.split(";\n"):
            connection.execute(text(statement.strip() or "SELECT 1"))
    command.upgrade(alembic, "0017")
    with connected(fresh_database) as connection:
        assert connection.execute(text(WRITTEN)).scalar_one() == "her own words"
        connection.execute(text("SET LOCAL illume.erasing = 'on'"))
        connection.execute(text("UPDATE written_rationale SET text = '', erased_at = now()"))
    for table in ("written_rationale SET at = now()", "event SET tag = 'x'"):
        with (
            pytest.raises(IntegrityError, match="append-only"),
            connected(fresh_database) as connection,
        ):
            connection.execute(text(f"UPDATE {table}"))
    with (
        pytest.raises(IntegrityError, match="append-only"),
        connected(fresh_database) as connection,
    ):
        # Never those, also while somebody is erased.
        connection.execute(
            text("UPDATE candidate SET text = set_config('illume.erasing', 'on', true)")
        )
    command.downgrade(alembic, "0016")
    with connected(fresh_database) as connection:
        assert connection.execute(text(WRITTEN)).scalar_one() == "(erased)"
        assert connection.execute(text('SELECT name FROM "user"')).scalar_one() == "Noor"
    command.upgrade(alembic, "0016")


def test_a_filled_database_takes_up_marks_and_gives_them_back(
    alembic: Config, fresh_database: str
) -> None:
    command.upgrade(alembic, "0010")
    fill(fresh_database)
    command.upgrade(alembic, "0016")
    with connected(fresh_database) as connection:
        for statement in JUDGED.split(";\n"):
            connection.execute(text(statement.strip() or "SELECT 1"))
    command.upgrade(alembic, "0028")
    read = "SELECT id, status, comment, edits FROM judgement ORDER BY id"
    with connected(fresh_database) as connection:
        before = connection.execute(text(read)).all()
    command.upgrade(alembic, "0029")
    with connected(fresh_database) as connection:
        assert connection.execute(text(read)).all() == before
        said = connection.execute(text("SELECT marks, corrections FROM judgement")).all()
        assert {(str(marks), str(corrections)) for marks, corrections in said} == {("{}", "{}")}
        assert connection.execute(text("SELECT count(*) FROM mark")).scalar_one() == 0
    command.downgrade(alembic, "0028")
    with connected(fresh_database) as connection:
        assert before
        assert connection.execute(text(read)).all() == before
    command.upgrade(alembic, "0029")


# --- Sessions ------------------------------------------------------------------------------


def test_no_cookie_of_before_is_good_again_after_an_update_is_taken_back(
    alembic: Config, fresh_database: str
) -> None:
    command.upgrade(alembic, "0019")
    with connected(fresh_database) as connection:
        connection.execute(
            text("INSERT INTO \"user\" (name, name_key, session_number) VALUES ('Ada', 'ada', 3)")
        )
    command.upgrade(alembic, "0020")
    with connected(fresh_database) as connection:
        row = "INSERT INTO sign_in_session (user_id, key_hash) SELECT id, 'hash' FROM \"user\""
        connection.execute(text(row))
    command.downgrade(alembic, "0019")
    with connected(fresh_database) as connection:
        number = connection.execute(text('SELECT session_number FROM "user"')).scalar_one()
    assert number > 1_000_000  # more often than anybody ended their sessions


# --- Tokens --------------------------------------------------------------------------------


def test_tokens_of_before_have_no_end_and_those_that_are_over_stay_so(
    alembic: Config, fresh_database: str
) -> None:
    tokens = "SELECT name, revoked_at IS NULL FROM api_token ORDER BY name"
    command.upgrade(alembic, "0025")
    with connected(fresh_database) as connection:
        connection.execute(text("INSERT INTO \"user\" (name, name_key) VALUES ('Ada', 'ada')"))
        row = "INSERT INTO api_token (user_id, name, token_hash) VALUES (1, 'old', 'a')"
        connection.execute(text(row))
    command.upgrade(alembic, "0026")
    with connected(fresh_database) as connection:
        ends = connection.execute(text("SELECT expires_at, used_at FROM api_token")).one()
        assert tuple(ends) == (None, None)
        over = (
            "INSERT INTO api_token (user_id, name, token_hash, expires_at)"
            " SELECT id, 'over', 'b', now() - interval '1 day' FROM \"user\""
        )
        connection.execute(text(over))
    command.downgrade(alembic, "0025")
    with connected(fresh_database) as connection:
        assert [tuple(row) for row in connection.execute(text(tokens))] == [
            ("old", True),
            ("over", False),
        ]


# --- Base models ---------------------------------------------------------------------------

TRAINED = """
INSERT INTO run (project_id, round_id, job, status, attempt, finished_at)
SELECT project_id, id, 'train', 'succeeded', 1, now() FROM round, generate_series(1, 4);
UPDATE round SET settings = '{"revision": "main"}';
INSERT INTO adapter (project_id, run_id, run_attempt, base_model, base_revision, digest)
SELECT project_id, run.id, 1, model, revision, 'digest ' || number
FROM (SELECT *, row_number() OVER (ORDER BY id) AS number FROM run) AS run
JOIN (VALUES (1, 'org/model', 'older'), (2, 'org/model', 'newest'), (3, 'org/other', 'another'),
  (4, 'org/unknown', '')) AS trained (number, model, revision) USING (number)
ORDER BY number;
"""
PINNED = "SELECT base_model, asked_revision, digest FROM project_base ORDER BY base_model"


def test_projects_that_have_trained_are_pinned_to_the_base_of_their_newest_adapter(
    alembic: Config, fresh_database: str
) -> None:
    command.upgrade(alembic, "0010")
    fill(fresh_database)
    command.upgrade(alembic, "0012")
    with connected(fresh_database) as connection:
        for statement in TRAINED.split(";\n"):
            connection.execute(text(statement.strip() or "SELECT 1"))
    for _ in range(2):
        command.upgrade(alembic, "0013")
        with connected(fresh_database) as connection:
            pinned = [tuple(row) for row in connection.execute(text(PINNED))]
        assert pinned == [("org/model", "main", "newest"), ("org/other", "main", "another")]
        command.downgrade(alembic, "0012")


# --- A round in judging --------------------------------------------------------------------

JUDGING = """
UPDATE project SET settings = '{}';
UPDATE round SET status = 'judging';
UPDATE round_item SET state = 'done';
DELETE FROM admission;
INSERT INTO "user" (name, kind, is_admin) VALUES ('Noor', 'person', false);
INSERT INTO round_candidate
  (round_id, candidate_id, item_id, is_shown, rank, n_draws, chosen_by)
SELECT round_id, candidate.id, item_id, true, row_number() OVER (ORDER BY candidate.id), 1, 'draws'
FROM candidate JOIN round_item USING (item_id);
INSERT INTO judgement (round_item_id, round_id, user_id, max_slots, shown_order, picked, status,
  slot, submitted_at)
SELECT round_item.id, round_id, "user".id, max_slots, array_agg(candidate.id ORDER BY candidate.id),
  array_agg(candidate.id) FILTER (WHERE text = '3 dogs'), 'submitted', 1, now()
FROM round_item JOIN candidate USING (item_id), "user" GROUP BY round_item.id, "user".id;
INSERT INTO verdict
  (judgement_id, candidate_id, round_id, none_fits, answer_is_wrong, fits, position)
SELECT judgement.id, candidate.id, round_id, false, false, text = '3 dogs',
  row_number() OVER (ORDER BY candidate.id)
FROM judgement, candidate;
INSERT INTO written_rationale (judgement_id, candidate_id, item_id, text)
SELECT judgement.id, candidate.id, item_id, 'her own words' FROM judgement, candidate
WHERE candidate.text = '%';
INSERT INTO round_model (round_id, strategy, role) SELECT id, 'direct', 'model' FROM round;
INSERT INTO run (project_id, round_id, job, status, finished_at)
SELECT project_id, id, 'generate', 'succeeded', now() FROM round;
"""
"""All is judged, and whoever gave the last answer did not live to close the round."""


def test_a_round_in_judging_goes_on_after_an_upgrade(alembic: Config, fresh_database: str) -> None:
    command.upgrade(alembic, "0010")
    fill(fresh_database)
    with connected(fresh_database) as connection:
        for statement in JUDGING.split(";\n"):
            connection.execute(text(statement.strip() or "SELECT 1"))
        tables = ("judgement", "verdict", "candidate", "written_rationale", "round_item", "run")
        count = " UNION ALL ".join(f"SELECT count(*) FROM {table}" for table in tables)  # noqa: S608
        before = list(connection.execute(text(count)).scalars())
    command.upgrade(alembic, "head")
    with connected(fresh_database) as connection:
        assert list(connection.execute(text(count)).scalars()) == before
        keys = connection.execute(text("SELECT text_key FROM written_rationale")).scalars()
        assert list(keys) == [text_key("her own words")]
        sampled = connection.execute(text("SELECT strategy, role FROM run")).one()
        assert tuple(sampled) == ("direct", None)
    engine = create_engine(fresh_database, poolclass=pool.NullPool)
    with Session(engine) as session, session.begin():
        round_ = session.scalars(select(Round)).one()
        assert end_if_all_judged(session, round_.id)
        close_now(session, round_)
        assert round_.status is RoundStatus.TRAINING
        trained = session.scalars(
            select(Candidate.text).join(TrainingRow, TrainingRow.candidate_id == Candidate.id)
        ).all()
        assert trained == ["3 dogs"]
    command.downgrade(alembic, "0010")
    with connected(fresh_database) as connection:
        kept = list(connection.execute(text(count)).scalars())
    assert kept[:-1] == before[:-1]


# --- Draws and failures --------------------------------------------------------------------

DRAWN = """
INSERT INTO run (project_id, round_id, job, status, attempt, finished_at)
SELECT project_id, id, 'generate', 'succeeded', 1, now() FROM round;
INSERT INTO run_shard (run_id, number, item_ids, attempt) SELECT id, 1, '{}', 1 FROM run;
INSERT INTO sample (run_id, shard_id, shard_attempt, item_id, strategy, prompt, temperature, number,
  seed)
SELECT run.id, run_shard.id, 1, item.id, 'direct', '', 0.3, 1, 7 FROM run, run_shard, item;
INSERT INTO item_failure (run_id, shard_id, shard_attempt, item_id, kind, reason)
SELECT run.id, run_shard.id, 1, item.id, 'image', 'cut short.' FROM run, run_shard, item;
"""


def test_older_draws_are_not_known_to_be_cut_and_failures_keep_their_kind(
    alembic: Config, fresh_database: str
) -> None:
    command.upgrade(alembic, "0010")
    fill(fresh_database)
    command.upgrade(alembic, "0017")
    with connected(fresh_database) as connection:
        for statement in DRAWN.split(";\n"):
            connection.execute(text(statement.strip() or "SELECT 1"))
    command.upgrade(alembic, "0019")
    with connected(fresh_database) as connection:
        assert connection.execute(text("SELECT is_cut FROM sample")).scalar_one() is None
        kind = connection.execute(text("SELECT kind FROM item_failure")).scalar_one()
        assert kind == "image"
        connection.execute(text("UPDATE item_failure SET kind = 'prompt'"))
    command.downgrade(alembic, "0017")
    with connected(fresh_database) as connection:
        assert connection.execute(text("SELECT kind FROM item_failure")).scalar_one() == "image"
        assert connection.execute(text("SELECT count(*) FROM sample")).scalar_one() == 1


# --- Stored sentences ----------------------------------------------------------------------

FAILED = (
    "4 of 20 items could not be done, too many to go on without them. One of them is q1: It is "
    "cut: 100%. Mend the cause, then retry the round: finished shards are kept."
)
REASONS = {
    "round.decision_reason": "The limit of 3 rounds is reached.",
    "round_item.set_aside_reason": "2 people skipped it: \u201ccannot tell\u201d (2).",
    "run.error": FAILED,
    "item_failure.reason": "cut short.",
}
REASONED = """
UPDATE run SET status = 'failed', error = :error,
  result = '{"meteor_note": "METEOR is left out: Java is not installed.", "errors": ["old"]}';
UPDATE round SET decision_reason = 'The limit of 3 rounds is reached.';
UPDATE round_item SET state = 'set_aside',
  set_aside_reason = '2 people skipped it: \u201ccannot tell\u201d (2).';
INSERT INTO event (tag, details) VALUES ('round:decided', '{"decision": "under_floor", "reason":
  "Validation answer accuracy 45.5% is under the floor of 50.0%."}');
INSERT INTO run (project_id, job, status, finished_at, error, result)
SELECT id, 'import', 'failed', now(), 'CUDA out of memory', '{"errors": ["answer is empty"],
  "sentences": {"errors": [{"text": "%(x)s is empty", "parts": {"x": "answer"}}]}}' FROM project;
"""
RESULTS = "SELECT result FROM run ORDER BY id"


def read_reasons(url: str) -> dict[str, object]:
    with connected(url) as connection:
        return {
            name: connection.execute(
                text(f"SELECT {name.partition('.')[2]} FROM {name.partition('.')[0]} ORDER BY id")  # noqa: S608
            )
            .scalars()
            .first()
            for name in REASONS
        }


def test_stored_english_gets_the_parts_of_its_sentence_and_is_written_out_again(
    alembic: Config, fresh_database: str
) -> None:
    command.upgrade(alembic, "0010")
    fill(fresh_database)
    command.upgrade(alembic, "0023")
    with connected(fresh_database) as connection:
        for statement in [*DRAWN.split(";\n"), *REASONED.split(";\n")]:
            connection.execute(text(statement.strip() or "SELECT 1"), {"error": FAILED})
        results = list(connection.execute(text(RESULTS)).scalars())
    assert read_reasons(fresh_database) == REASONS

    command.upgrade(alembic, "0024")
    stored = read_reasons(fresh_database)
    sentences = {name: unpack(packed) for name, packed in stored.items()}
    assert sentences == REASONS
    assert [name for name, told in sentences.items() if not isinstance(told, Sentence)] == [
        "item_failure.reason"
    ]
    with connected(fresh_database) as connection:
        details = connection.execute(text("SELECT details FROM event")).scalar_one()
        kept = list(connection.execute(text(RESULTS)).scalars())
        other = connection.execute(text("SELECT error FROM run WHERE job = 'import'"))
        assert other.scalar_one() == "CUDA out of memory"
    assert unpack(details["reason"]).parts == {"accuracy": Share(0.455), "floor": Share(0.5)}
    assert unpack(kept[0]["meteor_note"]) == "METEOR is left out: Java is not installed."
    assert (kept[0]["errors"], [unpack(line) for line in kept[1]["errors"]]) == (
        ["old"],
        ["answer is empty"],
    )
    assert "sentences" not in kept[1]

    command.downgrade(alembic, "0023")
    assert read_reasons(fresh_database) == REASONS
    with connected(fresh_database) as connection:
        back = list(connection.execute(text(RESULTS)).scalars())
        details = connection.execute(text("SELECT details FROM event")).scalar_one()
    assert back[1] == results[1]
    assert back[0]["meteor_note"] == results[0]["meteor_note"]
    assert details["reason"] == "Validation answer accuracy 45.5% is under the floor of 50.0%."


# --- Episodes of a prior -------------------------------------------------------------------

TRAINING_ROWS = """
INSERT INTO training_row (run_id, item_id, candidate_id)
SELECT run.id, item.id, candidate.id FROM run, item JOIN candidate ON item_id = item.id;
INSERT INTO training_row (run_id, item_id) SELECT run.id, item.id FROM run, item;
"""
EPISODES = """
INSERT INTO prior_episode (project_id, item_id, item_version, turns, answer, content_key)
SELECT project_id, id, version, '[]', answer, 'a' FROM item;
INSERT INTO training_row (run_id, item_id, prior_episode_id)
SELECT run.id, item_id, prior_episode.id FROM run, prior_episode;
"""


def test_rows_of_trainings_are_kept_and_episodes_go_with_the_table_that_has_them(
    alembic: Config, fresh_database: str
) -> None:
    rows = "SELECT id, item_id, candidate_id FROM training_row ORDER BY id"
    command.upgrade(alembic, "0010")
    fill(fresh_database)
    command.upgrade(alembic, "0026")
    with connected(fresh_database) as connection:
        for statement in [*DRAWN.split(";\n")[:2], *TRAINING_ROWS.split(";\n")]:
            connection.execute(text(statement.strip() or "SELECT 1"))
        before = connection.execute(text(rows)).all()
    assert len(before) > 1
    command.upgrade(alembic, "0027")
    with connected(fresh_database) as connection:
        assert connection.execute(text(rows)).all() == before
        for statement in EPISODES.split(";\n"):
            connection.execute(text(statement.strip() or "SELECT 1"))
        assert len(connection.execute(text(rows)).all()) == len(before) + 1
    command.downgrade(alembic, "0026")
    with connected(fresh_database) as connection:
        assert connection.execute(text(rows)).all() == before


# --- Looks that people found untrue --------------------------------------------------------

CORRECTED = """
INSERT INTO sample (run_id, shard_id, shard_attempt, item_id, strategy, prompt, temperature, number,
  seed, candidate_id, trace)
SELECT run.id, run_shard.id, 1, item.id, 'monologue', '', 0.3, 1, 7, candidate.id,
  '{"turns": [{"asked": "what size?", "observed": "small"}]}'
FROM run, run_shard, item, candidate WHERE candidate.text = '3 dogs';
UPDATE judgement SET shown_order = ARRAY(SELECT candidate_id FROM sample);
INSERT INTO corrected_observation (judgement_id, sample_id, turn, text)
SELECT judgement.id, sample.id, 1, 'large' FROM judgement, sample;
"""
UNTAUGHT = """
INSERT INTO untaught_look (run_id, sample_id, turn, item_id, judgement_id)
SELECT run_id, sample.id, 1, item_id, judgement.id FROM sample, judgement;
SET LOCAL illume.erasing = 'on';
UPDATE corrected_observation SET text = '', erased_at = now();
"""


def test_corrections_are_kept_and_those_of_erased_people_go_with_what_was_not_taught(
    alembic: Config, fresh_database: str
) -> None:
    corrected = "SELECT text FROM corrected_observation"
    command.upgrade(alembic, "0010")
    fill(fresh_database)
    command.upgrade(alembic, "0016")
    with connected(fresh_database) as connection:
        for statement in JUDGED.split(";\n"):
            connection.execute(text(statement.strip() or "SELECT 1"))
    command.upgrade(alembic, "0052")
    with connected(fresh_database) as connection:
        for statement in [*DRAWN.split(";\n")[:2], *CORRECTED.split(";\n")]:
            connection.execute(text(statement.strip() or "SELECT 1"))
    for _ in range(2):
        command.upgrade(alembic, "0053")
        with connected(fresh_database) as connection:
            assert list(connection.execute(text(corrected)).scalars()) == ["large"]
        with (
            pytest.raises(IntegrityError, match="append-only"),
            connected(fresh_database) as connection,
        ):
            connection.execute(text("UPDATE corrected_observation SET text = 'huge'"))
        command.downgrade(alembic, "0052")
    command.upgrade(alembic, "0053")
    with connected(fresh_database) as connection:
        for statement in UNTAUGHT.split(";\n"):
            connection.execute(text(statement.strip() or "SELECT 1"))
    command.downgrade(alembic, "0052")
    with connected(fresh_database) as connection:
        assert list(connection.execute(text(corrected)).scalars()) == []


WEIGHED = """
UPDATE admission SET policy = 'dawid_skene_0.9', probability = 0.95
WHERE candidate_id = (SELECT min(candidate_id) FROM admission);
INSERT INTO admission_decision (round_id, policy, n_rationales, n_items, n_judged_items, weighing)
SELECT id, 'dawid_skene_0.9', 1, 1, 1, '{"probability": 0.9}' FROM round;
INSERT INTO candidate_tally (round_id, item_id, candidate_id, n_fits, n_votes, probability)
SELECT round_id, item_id, candidate_id, n_fits, n_votes, 0.95 FROM admission;
"""


def test_admissions_are_kept_when_people_come_to_be_weighed_and_when_that_is_taken_back(
    alembic: Config, fresh_database: str
) -> None:
    admitted = "SELECT round_id, candidate_id, n_fits, n_votes FROM admission ORDER BY candidate_id"
    command.upgrade(alembic, "0010")
    fill(fresh_database)
    command.upgrade(alembic, "0032")
    with connected(fresh_database) as connection:
        before = connection.execute(text(admitted)).all()
    assert len(before) > 1
    for _ in range(2):
        command.upgrade(alembic, "head")
        with connected(fresh_database) as connection:
            assert connection.execute(text(admitted)).all() == before
            for statement in WEIGHED.split(";\n"):
                connection.execute(text(statement.strip() or "SELECT 1"))
        command.downgrade(alembic, "0032")
        with connected(fresh_database) as connection:
            assert connection.execute(text(admitted)).all() == before


# --- Adjudication --------------------------------------------------------------------------

ONE_MORE = """
INSERT INTO "user" (name, kind, is_admin) VALUES ('Ben', 'person', false);
UPDATE round_item SET slots = 2, max_slots = 2;
INSERT INTO judgement (round_item_id, round_id, user_id, max_slots, shown_order, picked, none_fits,
  status, slot, submitted_at)
SELECT round_item_id, round_id, (SELECT id FROM "user" WHERE name = 'Ben'), 2, shown_order, '{}',
  true, 'submitted', 2, now() FROM judgement
"""
DECIDED = """
INSERT INTO adjudication (round_id, item_id, candidate_id, fits, decided_by_id)
SELECT round_id, item_id, disputed[1], true, (SELECT min(id) FROM "user")
FROM round_item WHERE disputed <> '{}';
INSERT INTO admission (round_id, candidate_id, item_id, policy, judge_kind, n_fits, n_votes,
  is_adjudicated)
SELECT round_id, candidate_id, item_id, 'majority', 'person', 0, 2, true FROM adjudication
"""


def test_what_people_differ_on_is_known_after_an_upgrade(
    alembic: Config, fresh_database: str
) -> None:
    disputed = """
        SELECT candidate.text FROM round_item, unnest(disputed) AS candidate_id
        JOIN candidate ON candidate.id = candidate_id
    """
    admitted = "SELECT count(*) FROM admission"
    command.upgrade(alembic, "0010")
    fill(fresh_database)
    with connected(fresh_database) as connection:
        for statement in [*JUDGING.split(";\n"), *ONE_MORE.split(";\n")]:
            connection.execute(text(statement.strip() or "SELECT 1"))
    for _ in range(2):
        command.upgrade(alembic, "head")
        with connected(fresh_database) as connection:
            assert list(connection.execute(text(disputed)).scalars()) == ["3 dogs"]
            assert connection.execute(text(admitted)).scalar_one() == 0
            for statement in DECIDED.split(";\n"):
                connection.execute(text(statement))
            assert connection.execute(text(admitted)).scalar_one() == 1
            connection.execute(text("UPDATE judgement SET status = 'withdrawn', slot = NULL, "
                                    "submitted_at = NULL WHERE none_fits"))  # fmt: skip
            assert not list(connection.execute(text(disputed)).scalars())
            connection.execute(text("UPDATE judgement SET status = 'submitted', slot = 2, "
                                    "submitted_at = now() WHERE none_fits"))  # fmt: skip
            assert list(connection.execute(text(disputed)).scalars()) == ["3 dogs"]
        command.downgrade(alembic, "0037")


# --- Predictions without a verdict -----------------------------------------------------------

MEASURED = """
INSERT INTO image (sha256, media_type, width, height, n_bytes)
VALUES (repeat('b', 64), 'image/png', 4, 4, 9);
INSERT INTO project_image (project_id, image_sha256, split) SELECT id, repeat('b', 64), 'test'
FROM project;
INSERT INTO item (project_id, image_sha256, split, external_id, question, answer)
SELECT id, repeat('b', 64), 'test', 'held out ' || number, 'what?', 'red'
FROM project, generate_series(1, 5) AS number;
INSERT INTO run (project_id, job, status, attempt) SELECT id, 'baseline', 'running', 1 FROM project;
INSERT INTO run_shard (run_id, number, item_ids, status, attempt)
SELECT id, 0, '{}', 'running', 1 FROM run
"""
PREDICT = """
INSERT INTO prediction (run_id, shard_id, shard_attempt, item_id, split, answer, rationale,
  answer_is_right, fits, fault, blank_answer, blank_rationale, blank_answer_is_right, blank_fits)
SELECT run_shard.run_id, run_shard.id, 1, item.id, 'test', 'red', 'it is', {said}
FROM run_shard, item WHERE external_id = 'held out {number}'
"""
JUDGED_BEFORE = (
    "true, true, NULL, 'blue', 'it is', false, false",
    "false, false, 'unclear', NULL, NULL, NULL, NULL",
)
UNJUDGED = (
    "true, NULL, NULL, 'red', 'it is', true, NULL",
    "false, NULL, NULL, NULL, NULL, NULL, NULL",
)
PREDICTED = """
SELECT answer, rationale, answer_is_right, fits, fault, blank_answer, blank_fits
FROM prediction ORDER BY item_id
"""


def predict(url: str, first: int, said: Sequence[str]) -> None:
    with connected(url) as connection:
        for number, columns in enumerate(said, start=first):
            connection.execute(text(PREDICT.format(said=columns, number=number)))


def test_predictions_of_before_keep_their_verdicts_and_others_need_none(
    alembic: Config, fresh_database: str
) -> None:
    command.upgrade(alembic, "0010")
    fill(fresh_database)
    command.upgrade(alembic, "0051")
    with connected(fresh_database) as connection:
        for statement in MEASURED.split(";\n"):
            connection.execute(text(statement))
    predict(fresh_database, 1, JUDGED_BEFORE)
    with pytest.raises(IntegrityError, match="blank_whole_or_absent"):
        predict(fresh_database, 3, UNJUDGED[:1])
    with connected(fresh_database) as connection:
        before = connection.execute(text(PREDICTED)).all()

    command.upgrade(alembic, "0052")
    predict(fresh_database, 3, UNJUDGED)
    for odd in ("true, true, NULL, 'red', 'it is', true, NULL",
                "true, NULL, NULL, 'red', 'it is', true, true"):  # fmt: skip
        with pytest.raises(IntegrityError, match="verdict_on_both_or_neither"):
            predict(fresh_database, 5, [odd])
    with connected(fresh_database) as connection:
        assert connection.execute(text(PREDICTED)).all()[:2] == before

    command.downgrade(alembic, "0051")
    with connected(fresh_database) as connection:
        after = connection.execute(text(PREDICTED)).all()
    assert after[:2] == before
    # What was said stays, without a verdict that nobody gave; that of the blank picture goes.
    assert [tuple(row) for row in after[2:]] == [
        ("red", "it is", True, None, None, None, None),
        ("red", "it is", False, None, None, None, None),
    ]
    command.upgrade(alembic, "0052")
