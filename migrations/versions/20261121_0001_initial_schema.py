"""Initial schema: all tables, the slot counters and the append-only history."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


# Counts the places of an item: the checks on round_item then bound them, whoever writes.
COUNT_SLOTS = """
CREATE FUNCTION count_slots() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  change_taken int := 0;
  change_submitted int := 0;
BEGIN
  -- Critics hold no slot and are not counted.
  IF TG_OP <> 'INSERT' THEN
    change_taken := change_taken - (OLD.slot IS NOT NULL)::int;
    change_submitted := change_submitted
      - (OLD.slot IS NOT NULL AND OLD.status = 'submitted')::int;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    change_taken := change_taken + (NEW.slot IS NOT NULL)::int;
    change_submitted := change_submitted
      + (NEW.slot IS NOT NULL AND NEW.status = 'submitted')::int;
  END IF;
  IF change_taken <> 0 OR change_submitted <> 0 THEN
    UPDATE round_item
    SET n_taken = n_taken + change_taken, n_submitted = n_submitted + change_submitted
    WHERE id = COALESCE(NEW.round_item_id, OLD.round_item_id);
  END IF;
  RETURN NULL;
END $$;
CREATE FUNCTION judgement_stays_at_its_item() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a judgement cannot move to another item or annotator'
    USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER count_slots
  AFTER INSERT OR DELETE OR UPDATE OF slot, status ON judgement
  FOR EACH ROW EXECUTE FUNCTION count_slots();
CREATE TRIGGER judgement_stays_at_its_item
  BEFORE UPDATE OF round_item_id, user_id, user_kind ON judgement FOR EACH ROW
  WHEN (OLD.round_item_id <> NEW.round_item_id OR OLD.user_id <> NEW.user_id
        OR OLD.user_kind <> NEW.user_kind)
  EXECUTE FUNCTION judgement_stays_at_its_item();
"""

# History is appended to, never rewritten. A row may go only together with its parent.
FORBID_CHANGE = """
CREATE FUNCTION forbid_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  parent_is_there boolean;
BEGIN
  IF TG_OP = 'DELETE' THEN
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I WHERE id = ($1).%I)', TG_ARGV[0], TG_ARGV[1])
      INTO parent_is_there USING OLD;
    IF NOT parent_is_there AND (to_jsonb(OLD) ->> TG_ARGV[1]) IS NOT NULL THEN
      RETURN OLD;
    END IF;
  END IF;
  RAISE EXCEPTION '% is append-only: a row can be neither changed nor deleted', TG_TABLE_NAME
    USING ERRCODE = 'integrity_constraint_violation';
END $$;
"""
APPEND_ONLY = {
    "event": ("project", "project_id"),
    "judgement_revision": ("judgement", "judgement_id"),
    "candidate": ("item", "item_id"),
    "release": ("project", "project_id"),
    "release_row": ("release", "release_id"),
}


def upgrade() -> None:
    op.create_table(
        "image",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("media_type", sa.String(length=50), nullable=False),
        sa.Column("width", sa.BigInteger(), nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f("ck_image_sha256_is_hex")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_image")),
    )
    op.create_table(
        "project",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("slug", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("guidelines", sa.Text(), server_default="", nullable=False),
        sa.Column("guidelines_version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("licence", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "settings",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("pseudonym_secret", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'", name=op.f("ck_project_slug_is_plain")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project")),
        sa.UniqueConstraint("slug", name=op.f("uq_project_slug")),
    )
    op.create_table(
        "user",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "person",
                "critic",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            server_default="person",
            nullable=False,
        ),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("is_admin", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("session_number", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "kind = 'person' OR password_hash IS NULL", name=op.f("ck_user_critic_has_no_password")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user")),
        sa.UniqueConstraint("id", "kind", name=op.f("uq_user_id_kind")),
        sa.UniqueConstraint("name", name=op.f("uq_user_name")),
    )
    op.create_table(
        "api_token",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_api_token_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_token_token_hash")),
    )
    op.create_index(op.f("ix_api_token_user_id"), "api_token", ["user_id"], unique=False)
    op.create_table(
        "invite",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "annotator",
                "admin",
                name="role",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("n_uses", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("max_uses", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "max_uses IS NULL OR n_uses <= max_uses", name=op.f("ck_invite_within_max_uses")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_invite_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invite")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invite_token_hash")),
    )
    op.create_index(op.f("ix_invite_project_id"), "invite", ["project_id"], unique=False)
    op.create_table(
        "membership",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "annotator",
                "admin",
                name="role",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
            name=op.f("fk_membership_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_membership_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_membership")),
        sa.UniqueConstraint("project_id", "user_id", name=op.f("uq_membership_project_id_user_id")),
    )
    op.create_index(op.f("ix_membership_user_id"), "membership", ["user_id"], unique=False)
    op.create_table(
        "project_image",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("image_sha256", sa.String(length=64), nullable=False),
        sa.Column(
            "split",
            sa.Enum(
                "train",
                "validation",
                "test",
                name="split",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["image_sha256"], ["image.sha256"], name=op.f("fk_project_image_image_sha256")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
            name=op.f("fk_project_image_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "image_sha256", name=op.f("pk_project_image")),
        sa.UniqueConstraint(
            "project_id",
            "image_sha256",
            "split",
            name=op.f("uq_project_image_project_id_image_sha256_split"),
        ),
    )
    op.create_index(
        "ix_project_image_image_sha256", "project_image", ["image_sha256"], unique=False
    )
    op.create_table(
        "release",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("n_rows", sa.BigInteger(), nullable=False),
        sa.Column("card", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_by_id", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["user.id"], name=op.f("fk_release_created_by_id")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_release_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release")),
        sa.UniqueConstraint("project_id", "number", name=op.f("uq_release_project_id_number")),
    )
    op.create_table(
        "round",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "draft",
                "generating",
                "judging",
                "training",
                "evaluating",
                "completed",
                "cancelled",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            server_default="draft",
            nullable=False,
        ),
        sa.Column("settings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("order_key", sa.String(length=64), nullable=False),
        sa.Column(
            "status_changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "decision",
            sa.Enum(
                "continue",
                "all_covered",
                "no_progress",
                "under_floor",
                "round_limit",
                name="decision",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=True,
        ),
        sa.Column("decision_reason", sa.Text(), nullable=True),
        sa.Column(
            "figures",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(status = 'completed') = (decision IS NOT NULL)",
            name=op.f("ck_round_completed_is_decided"),
        ),
        sa.CheckConstraint("number >= 1", name=op.f("ck_round_number_from_one")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_round_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_round")),
        sa.UniqueConstraint("id", "project_id", name=op.f("uq_round_id_project_id")),
        sa.UniqueConstraint("project_id", "number", name=op.f("uq_round_project_id_number")),
    )
    op.create_index(
        "uq_round_one_open_per_project",
        "round",
        ["project_id"],
        unique=True,
        postgresql_where=sa.text("status NOT IN ('completed', 'cancelled')"),
    )
    op.create_table(
        "sign_in_link",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("is_reset", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("next_path", sa.Text(), server_default="/", nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_sign_in_link_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_link")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sign_in_link_token_hash")),
    )
    op.create_index(op.f("ix_sign_in_link_user_id"), "sign_in_link", ["user_id"], unique=False)
    op.create_table(
        "event",
        sa.Column("project_id", sa.BigInteger(), nullable=True),
        sa.Column("round_id", sa.BigInteger(), nullable=True),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("tag", sa.String(length=100), nullable=False),
        sa.Column(
            "details",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["user.id"], name=op.f("fk_event_actor_id")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_event_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["round_id"], ["round.id"], name=op.f("fk_event_round_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    op.create_index(op.f("ix_event_project_id"), "event", ["project_id"], unique=False)
    op.create_index(op.f("ix_event_round_id"), "event", ["round_id"], unique=False)
    op.create_table(
        "item",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("image_sha256", sa.String(length=64), nullable=False),
        sa.Column(
            "split",
            sa.Enum(
                "train",
                "validation",
                "test",
                name="split",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("external_id", sa.String(length=500), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column(
            "gold_rationales",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("excluded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("excluded_reason", sa.Text(), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "question <> '' AND answer <> ''", name=op.f("ck_item_question_and_answer_given")
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "image_sha256", "split"],
            ["project_image.project_id", "project_image.image_sha256", "project_image.split"],
            name=op.f("fk_item_project_id_image_sha256_split"),
            onupdate="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_item_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item")),
        sa.UniqueConstraint("id", "project_id", name=op.f("uq_item_id_project_id")),
        sa.UniqueConstraint("id", "split", name=op.f("uq_item_id_split")),
        sa.UniqueConstraint(
            "project_id", "external_id", name=op.f("uq_item_project_id_external_id")
        ),
    )
    op.create_index(
        "ix_item_project_id_image_sha256", "item", ["project_id", "image_sha256"], unique=False
    )
    op.create_index("ix_item_project_id_split", "item", ["project_id", "split"], unique=False)
    op.create_table(
        "release_row",
        sa.Column("release_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("is_tombstone", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["release_id"],
            ["release.id"],
            name=op.f("fk_release_row_release_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("release_id", "number", name=op.f("pk_release_row")),
    )
    op.create_table(
        "run",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("round_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "job",
            sa.Enum(
                "baseline",
                "generate",
                "judge",
                "train",
                "evaluate",
                "import",
                "release",
                name="job",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "status",
            sa.Enum(
                "queued",
                "running",
                "succeeded",
                "failed",
                "cancelled",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            server_default="queued",
            nullable=False,
        ),
        sa.Column(
            "parameters",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("attempt", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "progress",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "result",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("worker_id", sa.BigInteger(), nullable=True),
        sa.Column("retry_of_id", sa.BigInteger(), nullable=True),
        sa.Column("requested_by_id", sa.BigInteger(), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(status = 'failed') = (error IS NOT NULL)", name=op.f("ck_run_failed_has_error")
        ),
        sa.CheckConstraint(
            "(status IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)",
            name=op.f("ck_run_finished_has_time"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_run_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["requested_by_id"],
            ["user.id"],
            name=op.f("fk_run_requested_by_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(["retry_of_id"], ["run.id"], name=op.f("fk_run_retry_of_id")),
        sa.ForeignKeyConstraint(
            ["round_id", "project_id"],
            ["round.id", "round.project_id"],
            name=op.f("fk_run_round_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["worker_id"],
            ["worker.id"],
            name=op.f("fk_run_worker_id"),
            ondelete="SET NULL",
            use_alter=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.UniqueConstraint("id", "attempt", name=op.f("uq_run_id_attempt")),
    )
    op.create_index(
        "ix_run_live",
        "run",
        ["status"],
        unique=False,
        postgresql_where=sa.text("status IN ('queued', 'running')"),
    )
    op.create_index("ix_run_project_id_job", "run", ["project_id", "job"], unique=False)
    op.create_index("ix_run_round_id", "run", ["round_id"], unique=False)
    op.create_index(
        "uq_run_one_live_per_round_and_job",
        "run",
        ["round_id", "job"],
        unique=True,
        postgresql_where=sa.text("status IN ('queued', 'running')"),
    )
    op.create_table(
        "adapter",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("run_attempt", sa.BigInteger(), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("base_model", sa.Text(), nullable=False),
        sa.Column("base_revision", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=20), server_default="lora", nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column(
            "meta",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["parent_id"], ["adapter.id"], name=op.f("fk_adapter_parent_id")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_adapter_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["run_id", "run_attempt"],
            ["run.id", "run.attempt"],
            name=op.f("fk_adapter_run_id_run_attempt"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adapter")),
        sa.UniqueConstraint("run_id", name=op.f("uq_adapter_run_id")),
    )
    op.create_index("ix_adapter_project_id", "adapter", ["project_id"], unique=False)
    op.create_table(
        "candidate",
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("text_key", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "author_kind",
            sa.Enum(
                "model",
                "person",
                "gold",
                name="author_kind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            server_default="model",
            nullable=False,
        ),
        sa.Column("author_id", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("text <> ''", name=op.f("ck_candidate_text_given")),
        sa.ForeignKeyConstraint(["author_id"], ["user.id"], name=op.f("fk_candidate_author_id")),
        sa.ForeignKeyConstraint(
            ["item_id"], ["item.id"], name=op.f("fk_candidate_item_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_candidate")),
        sa.UniqueConstraint("id", "item_id", name=op.f("uq_candidate_id_item_id")),
        sa.UniqueConstraint("item_id", "text_key", name=op.f("uq_candidate_item_id_text_key")),
    )
    op.create_table(
        "round_item",
        sa.Column("round_id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "split",
            sa.Enum(
                "train",
                "validation",
                "test",
                name="split",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "purpose",
            sa.Enum(
                "training",
                "measure",
                "check",
                "practice",
                "anchor",
                "comparison",
                name="purpose",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "waiting",
                "open",
                "done",
                "resting",
                "set_aside",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            server_default="waiting",
            nullable=False,
        ),
        sa.Column("slots", sa.BigInteger(), nullable=False),
        sa.Column("max_slots", sa.BigInteger(), nullable=False),
        sa.Column("n_taken", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("n_submitted", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("priority", sa.Double(), server_default="0", nullable=False),
        sa.Column("random_key", sa.Double(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.CheckConstraint(
            "purpose <> 'training' OR split = 'train'",
            name=op.f("ck_round_item_training_is_train_split"),
        ),
        sa.CheckConstraint(
            "n_submitted BETWEEN 0 AND n_taken", name=op.f("ck_round_item_submitted_within_taken")
        ),
        sa.CheckConstraint(
            "n_taken BETWEEN 0 AND max_slots", name=op.f("ck_round_item_taken_within_max")
        ),
        sa.CheckConstraint(
            "slots BETWEEN 1 AND max_slots", name=op.f("ck_round_item_slots_within_max")
        ),
        sa.ForeignKeyConstraint(
            ["item_id", "project_id"],
            ["item.id", "item.project_id"],
            name=op.f("fk_round_item_item_id_project_id"),
        ),
        sa.ForeignKeyConstraint(
            ["item_id", "split"],
            ["item.id", "item.split"],
            name=op.f("fk_round_item_item_id_split"),
        ),
        sa.ForeignKeyConstraint(
            ["round_id", "project_id"],
            ["round.id", "round.project_id"],
            name=op.f("fk_round_item_round_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_round_item")),
        sa.UniqueConstraint("id", "max_slots", name=op.f("uq_round_item_id_max_slots")),
        sa.UniqueConstraint("id", "round_id", name=op.f("uq_round_item_id_round_id")),
        sa.UniqueConstraint(
            "round_id", "item_id", "purpose", name=op.f("uq_round_item_round_id_item_id_purpose")
        ),
        sa.UniqueConstraint("round_id", "item_id", name=op.f("uq_round_item_round_id_item_id")),
    )
    op.create_index("ix_round_item_item_id", "round_item", ["item_id"], unique=False)
    op.create_index(
        "ix_round_item_queue",
        "round_item",
        ["round_id", "priority", "random_key"],
        unique=False,
        postgresql_where=sa.text("state = 'open' AND n_taken < slots"),
    )
    op.create_index(
        "ix_round_item_round_id_state", "round_item", ["round_id", "state"], unique=False
    )
    op.create_table(
        "score",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("run_attempt", sa.BigInteger(), nullable=False),
        sa.Column(
            "split",
            sa.Enum(
                "train",
                "validation",
                "test",
                name="split",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id", "run_attempt"],
            ["run.id", "run.attempt"],
            name=op.f("fk_score_run_id_run_attempt"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_score")),
        sa.UniqueConstraint("run_id", "split", "name", name=op.f("uq_score_run_id_split_name")),
    )
    op.create_table(
        "worker",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("device", sa.Text(), server_default="", nullable=False),
        sa.Column("queues", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_worker_run_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
        sa.UniqueConstraint("name", name=op.f("uq_worker_name")),
    )
    op.create_table(
        "admission",
        sa.Column("round_id", sa.BigInteger(), nullable=False),
        sa.Column("candidate_id", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "purpose",
            sa.Enum(
                "training",
                "measure",
                "check",
                "practice",
                "anchor",
                "comparison",
                name="purpose",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            server_default="training",
            nullable=False,
        ),
        sa.Column("policy", sa.String(length=50), nullable=False),
        sa.Column(
            "judge_kind",
            sa.Enum(
                "person",
                "critic",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("n_fits", sa.BigInteger(), nullable=False),
        sa.Column("n_votes", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("purpose = 'training'", name=op.f("ck_admission_training_only")),
        sa.CheckConstraint("n_fits BETWEEN 1 AND n_votes", name=op.f("ck_admission_votes_add_up")),
        sa.ForeignKeyConstraint(
            ["candidate_id", "item_id"],
            ["candidate.id", "candidate.item_id"],
            name=op.f("fk_admission_candidate_id_item_id"),
        ),
        sa.ForeignKeyConstraint(
            ["round_id", "item_id", "purpose"],
            ["round_item.round_id", "round_item.item_id", "round_item.purpose"],
            name=op.f("fk_admission_round_id_item_id_purpose"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("round_id", "candidate_id", name=op.f("pk_admission")),
    )
    op.create_index("ix_admission_candidate_id", "admission", ["candidate_id"], unique=False)
    op.create_index("ix_admission_item_id", "admission", ["item_id"], unique=False)
    op.create_table(
        "judgement",
        sa.Column("round_item_id", sa.BigInteger(), nullable=False),
        sa.Column("round_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "user_kind",
            sa.Enum(
                "person",
                "critic",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            server_default="person",
            nullable=False,
        ),
        sa.Column(
            "status",
            sa.Enum(
                "leased",
                "draft",
                "submitted",
                "skipped",
                "released",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            server_default="leased",
            nullable=False,
        ),
        sa.Column("slot", sa.BigInteger(), nullable=True),
        sa.Column("max_slots", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("shown_order", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column(
            "picked",
            postgresql.ARRAY(sa.BigInteger()),
            server_default=sa.text("'{}'::bigint[]"),
            nullable=False,
        ),
        sa.Column("none_fits", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("answer_is_wrong", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_flagged", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("comment", sa.Text(), server_default="", nullable=False),
        sa.Column("skip_reason", sa.Text(), nullable=True),
        sa.Column("guidelines_version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("active_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "leased_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.CheckConstraint(
            "(lease_until IS NOT NULL) = (status IN ('leased', 'draft'))",
            name=op.f("ck_judgement_lease_has_end"),
        ),
        sa.CheckConstraint(
            "(slot IS NOT NULL) = (user_kind = 'person' AND status IN ('leased', 'draft', 'submitted'))",
            name=op.f("ck_judgement_live_person_holds_slot"),
        ),
        sa.CheckConstraint(
            "(status = 'submitted') = (submitted_at IS NOT NULL)",
            name=op.f("ck_judgement_submitted_has_time"),
        ),
        sa.CheckConstraint(
            "status <> 'submitted' OR none_fits OR answer_is_wrong OR cardinality(picked) > 0",
            name=op.f("ck_judgement_submitted_says_something"),
        ),
        sa.CheckConstraint(
            "NOT (answer_is_wrong AND (none_fits OR cardinality(picked) > 0))",
            name=op.f("ck_judgement_wrong_answer_picks_nothing"),
        ),
        sa.CheckConstraint(
            "NOT (none_fits AND cardinality(picked) > 0)",
            name=op.f("ck_judgement_none_fits_picks_nothing"),
        ),
        sa.CheckConstraint("active_ms >= 0", name=op.f("ck_judgement_active_ms_not_negative")),
        sa.CheckConstraint("picked <@ shown_order", name=op.f("ck_judgement_picked_was_shown")),
        sa.CheckConstraint(
            "slot BETWEEN 1 AND max_slots", name=op.f("ck_judgement_slot_within_max")
        ),
        sa.ForeignKeyConstraint(
            ["round_item_id", "max_slots"],
            ["round_item.id", "round_item.max_slots"],
            name=op.f("fk_judgement_round_item_id_max_slots"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["round_item_id", "round_id"],
            ["round_item.id", "round_item.round_id"],
            name=op.f("fk_judgement_round_item_id_round_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id", "user_kind"],
            ["user.id", "user.kind"],
            name=op.f("fk_judgement_user_id_user_kind"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_judgement")),
        sa.UniqueConstraint(
            "id",
            "round_id",
            "none_fits",
            "answer_is_wrong",
            name=op.f("uq_judgement_id_round_id_none_fits_answer_is_wrong"),
        ),
        sa.UniqueConstraint("round_item_id", "slot", name=op.f("uq_judgement_round_item_id_slot")),
        sa.UniqueConstraint(
            "round_item_id", "user_id", name=op.f("uq_judgement_round_item_id_user_id")
        ),
    )
    op.create_index(
        "ix_judgement_lease_until",
        "judgement",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("status IN ('leased', 'draft')"),
    )
    op.create_index(
        "ix_judgement_round_id_user_id",
        "judgement",
        ["round_id", "user_id", "submitted_at"],
        unique=False,
    )
    op.create_table(
        "round_candidate",
        sa.Column("round_id", sa.BigInteger(), nullable=False),
        sa.Column("candidate_id", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("is_shown", sa.Boolean(), nullable=False),
        sa.Column("rank", sa.BigInteger(), nullable=False),
        sa.Column("n_draws", sa.BigInteger(), nullable=False),
        sa.Column("chosen_by", sa.String(length=20), nullable=False),
        sa.CheckConstraint(
            "chosen_by IN ('draws', 'random', 'not_shown')",
            name=op.f("ck_round_candidate_chosen_by_known"),
        ),
        sa.CheckConstraint(
            "is_shown = (chosen_by <> 'not_shown')", name=op.f("ck_round_candidate_shown_says_why")
        ),
        sa.ForeignKeyConstraint(
            ["candidate_id", "item_id"],
            ["candidate.id", "candidate.item_id"],
            name=op.f("fk_round_candidate_candidate_id_item_id"),
        ),
        sa.ForeignKeyConstraint(
            ["round_id", "item_id"],
            ["round_item.round_id", "round_item.item_id"],
            name=op.f("fk_round_candidate_round_id_item_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("round_id", "candidate_id", name=op.f("pk_round_candidate")),
        sa.UniqueConstraint(
            "round_id",
            "candidate_id",
            "is_shown",
            name=op.f("uq_round_candidate_round_id_candidate_id_is_shown"),
        ),
        sa.UniqueConstraint(
            "round_id", "item_id", "rank", name=op.f("uq_round_candidate_round_id_item_id_rank")
        ),
    )
    op.create_index(
        "ix_round_candidate_candidate_id", "round_candidate", ["candidate_id"], unique=False
    )
    op.create_table(
        "round_model",
        sa.Column("round_id", sa.BigInteger(), nullable=False),
        sa.Column("strategy", sa.String(length=50), nullable=False),
        sa.Column("role", sa.String(length=50), nullable=False),
        sa.Column("parent_adapter_id", sa.BigInteger(), nullable=True),
        sa.Column("new_adapter_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["new_adapter_id"], ["adapter.id"], name=op.f("fk_round_model_new_adapter_id")
        ),
        sa.ForeignKeyConstraint(
            ["parent_adapter_id"], ["adapter.id"], name=op.f("fk_round_model_parent_adapter_id")
        ),
        sa.ForeignKeyConstraint(
            ["round_id"], ["round.id"], name=op.f("fk_round_model_round_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("round_id", "strategy", "role", name=op.f("pk_round_model")),
    )
    op.create_table(
        "run_shard",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("item_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "waiting",
                "running",
                "done",
                "failed",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            server_default="waiting",
            nullable=False,
        ),
        sa.Column("attempt", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("worker_id", sa.BigInteger(), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("n_written", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_run_shard_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["worker_id"], ["worker.id"], name=op.f("fk_run_shard_worker_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_shard")),
        sa.UniqueConstraint("id", "attempt", name=op.f("uq_run_shard_id_attempt")),
        sa.UniqueConstraint("run_id", "number", name=op.f("uq_run_shard_run_id_number")),
    )
    op.create_index("ix_run_shard_run_id_status", "run_shard", ["run_id", "status"], unique=False)
    op.create_table(
        "training_row",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "split",
            sa.Enum(
                "train",
                "validation",
                "test",
                name="split",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            server_default="train",
            nullable=False,
        ),
        sa.Column("candidate_id", sa.BigInteger(), nullable=True),
        sa.Column("weight", sa.Double(), server_default="1", nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.CheckConstraint("split = 'train'", name=op.f("ck_training_row_train_split_only")),
        sa.ForeignKeyConstraint(
            ["candidate_id", "item_id"],
            ["candidate.id", "candidate.item_id"],
            name=op.f("fk_training_row_candidate_id_item_id"),
        ),
        sa.ForeignKeyConstraint(
            ["item_id", "split"],
            ["item.id", "item.split"],
            name=op.f("fk_training_row_item_id_split"),
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_training_row_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_row")),
        sa.UniqueConstraint(
            "run_id",
            "item_id",
            "candidate_id",
            name=op.f("uq_training_row_run_id_item_id_candidate_id"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index("ix_training_row_item_id", "training_row", ["item_id"], unique=False)
    op.create_table(
        "judgement_revision",
        sa.Column("judgement_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.CheckConstraint(
            "action IN ('submit', 'take_back')", name=op.f("ck_judgement_revision_action_known")
        ),
        sa.ForeignKeyConstraint(
            ["judgement_id"],
            ["judgement.id"],
            name=op.f("fk_judgement_revision_judgement_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_judgement_revision")),
        sa.UniqueConstraint(
            "judgement_id", "number", name=op.f("uq_judgement_revision_judgement_id_number")
        ),
    )
    op.create_table(
        "prediction",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("shard_id", sa.BigInteger(), nullable=False),
        sa.Column("shard_attempt", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "split",
            sa.Enum(
                "train",
                "validation",
                "test",
                name="split",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("rationale", sa.Text(), nullable=False),
        sa.Column("answer_is_right", sa.Boolean(), nullable=False),
        sa.Column("fits", sa.Boolean(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.CheckConstraint("split <> 'train'", name=op.f("ck_prediction_held_out_only")),
        sa.CheckConstraint(
            "answer_is_right OR fits IS NOT TRUE", name=op.f("ck_prediction_wrong_answer_is_no_fit")
        ),
        sa.ForeignKeyConstraint(
            ["item_id", "split"],
            ["item.id", "item.split"],
            name=op.f("fk_prediction_item_id_split"),
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_prediction_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["shard_id", "shard_attempt"],
            ["run_shard.id", "run_shard.attempt"],
            name=op.f("fk_prediction_shard_id_shard_attempt"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prediction")),
        sa.UniqueConstraint("run_id", "item_id", name=op.f("uq_prediction_run_id_item_id")),
    )
    op.create_index("ix_prediction_item_id", "prediction", ["item_id"], unique=False)
    op.create_index("ix_prediction_shard_id", "prediction", ["shard_id"], unique=False)
    op.create_table(
        "sample",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("shard_id", sa.BigInteger(), nullable=False),
        sa.Column("shard_attempt", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("candidate_id", sa.BigInteger(), nullable=True),
        sa.Column("adapter_id", sa.BigInteger(), nullable=True),
        sa.Column("strategy", sa.String(length=50), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("temperature", sa.Double(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("log_probability", sa.Double(), nullable=False),
        sa.Column("n_tokens", sa.BigInteger(), nullable=False),
        sa.Column("trace", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.ForeignKeyConstraint(["adapter_id"], ["adapter.id"], name=op.f("fk_sample_adapter_id")),
        sa.ForeignKeyConstraint(
            ["candidate_id", "item_id"],
            ["candidate.id", "candidate.item_id"],
            name=op.f("fk_sample_candidate_id_item_id"),
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_sample_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["shard_id", "shard_attempt"],
            ["run_shard.id", "run_shard.attempt"],
            name=op.f("fk_sample_shard_id_shard_attempt"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sample")),
        sa.UniqueConstraint(
            "run_id",
            "item_id",
            "strategy",
            "prompt",
            "temperature",
            "number",
            name=op.f("uq_sample_run_id_item_id_strategy_prompt_temperature_number"),
        ),
    )
    op.create_index("ix_sample_candidate_id", "sample", ["candidate_id"], unique=False)
    op.create_index("ix_sample_item_id", "sample", ["item_id"], unique=False)
    op.create_index("ix_sample_shard_id", "sample", ["shard_id"], unique=False)
    op.create_table(
        "verdict",
        sa.Column("judgement_id", sa.BigInteger(), nullable=False),
        sa.Column("candidate_id", sa.BigInteger(), nullable=False),
        sa.Column("round_id", sa.BigInteger(), nullable=False),
        sa.Column("none_fits", sa.Boolean(), nullable=False),
        sa.Column("answer_is_wrong", sa.Boolean(), nullable=False),
        sa.Column("is_shown", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("fits", sa.Boolean(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column(
            "faults",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "NOT (none_fits AND fits)", name=op.f("ck_verdict_none_fits_means_none")
        ),
        sa.CheckConstraint(
            "NOT answer_is_wrong", name=op.f("ck_verdict_wrong_answer_has_no_verdicts")
        ),
        sa.CheckConstraint("is_shown", name=op.f("ck_verdict_shown_only")),
        sa.ForeignKeyConstraint(
            ["judgement_id", "round_id", "none_fits", "answer_is_wrong"],
            [
                "judgement.id",
                "judgement.round_id",
                "judgement.none_fits",
                "judgement.answer_is_wrong",
            ],
            name=op.f("fk_verdict_judgement_id_round_id_none_fits_answer_is_wrong"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["round_id", "candidate_id", "is_shown"],
            [
                "round_candidate.round_id",
                "round_candidate.candidate_id",
                "round_candidate.is_shown",
            ],
            name=op.f("fk_verdict_round_id_candidate_id_is_shown"),
        ),
        sa.PrimaryKeyConstraint("judgement_id", "candidate_id", name=op.f("pk_verdict")),
        sa.UniqueConstraint(
            "judgement_id", "position", name=op.f("uq_verdict_judgement_id_position")
        ),
    )
    op.create_index(
        "ix_verdict_round_id_candidate_id", "verdict", ["round_id", "candidate_id"], unique=False
    )
    # `worker` and `run` point at each other, so this key can only follow both tables.
    op.create_foreign_key(
        op.f("fk_run_worker_id"), "run", "worker", ["worker_id"], ["id"], ondelete="SET NULL"
    )
    op.execute(COUNT_SLOTS)
    op.execute(FORBID_CHANGE)
    for table, (parent, key) in APPEND_ONLY.items():
        op.execute(
            f"CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION forbid_change('{parent}', '{key}')"
        )


def downgrade() -> None:
    op.drop_constraint(op.f("fk_run_worker_id"), "run", type_="foreignkey")
    op.drop_index("ix_verdict_round_id_candidate_id", table_name="verdict")
    op.drop_table("verdict")
    op.drop_index("ix_sample_shard_id", table_name="sample")
    op.drop_index("ix_sample_item_id", table_name="sample")
    op.drop_index("ix_sample_candidate_id", table_name="sample")
    op.drop_table("sample")
    op.drop_index("ix_prediction_shard_id", table_name="prediction")
    op.drop_index("ix_prediction_item_id", table_name="prediction")
    op.drop_table("prediction")
    op.drop_table("judgement_revision")
    op.drop_index("ix_training_row_item_id", table_name="training_row")
    op.drop_table("training_row")
    op.drop_index("ix_run_shard_run_id_status", table_name="run_shard")
    op.drop_table("run_shard")
    op.drop_table("round_model")
    op.drop_index("ix_round_candidate_candidate_id", table_name="round_candidate")
    op.drop_table("round_candidate")
    op.drop_index("ix_judgement_round_id_user_id", table_name="judgement")
    op.drop_index(
        "ix_judgement_lease_until",
        table_name="judgement",
        postgresql_where=sa.text("status IN ('leased', 'draft')"),
    )
    op.drop_table("judgement")
    op.drop_index("ix_admission_item_id", table_name="admission")
    op.drop_index("ix_admission_candidate_id", table_name="admission")
    op.drop_table("admission")
    op.drop_table("worker")
    op.drop_table("score")
    op.drop_index("ix_round_item_round_id_state", table_name="round_item")
    op.drop_index(
        "ix_round_item_queue",
        table_name="round_item",
        postgresql_where=sa.text("state = 'open' AND n_taken < slots"),
    )
    op.drop_index("ix_round_item_item_id", table_name="round_item")
    op.drop_table("round_item")
    op.drop_table("candidate")
    op.drop_index("ix_adapter_project_id", table_name="adapter")
    op.drop_table("adapter")
    op.drop_index(
        "uq_run_one_live_per_round_and_job",
        table_name="run",
        postgresql_where=sa.text("status IN ('queued', 'running')"),
    )
    op.drop_index("ix_run_round_id", table_name="run")
    op.drop_index("ix_run_project_id_job", table_name="run")
    op.drop_index(
        "ix_run_live", table_name="run", postgresql_where=sa.text("status IN ('queued', 'running')")
    )
    op.drop_table("run")
    op.drop_table("release_row")
    op.drop_index("ix_item_project_id_split", table_name="item")
    op.drop_index("ix_item_project_id_image_sha256", table_name="item")
    op.drop_table("item")
    op.drop_index(op.f("ix_event_round_id"), table_name="event")
    op.drop_index(op.f("ix_event_project_id"), table_name="event")
    op.drop_table("event")
    op.drop_index(op.f("ix_sign_in_link_user_id"), table_name="sign_in_link")
    op.drop_table("sign_in_link")
    op.drop_index(
        "uq_round_one_open_per_project",
        table_name="round",
        postgresql_where=sa.text("status NOT IN ('completed', 'cancelled')"),
    )
    op.drop_table("round")
    op.drop_table("release")
    op.drop_index("ix_project_image_image_sha256", table_name="project_image")
    op.drop_table("project_image")
    op.drop_index(op.f("ix_membership_user_id"), table_name="membership")
    op.drop_table("membership")
    op.drop_index(op.f("ix_invite_project_id"), table_name="invite")
    op.drop_table("invite")
    op.drop_index(op.f("ix_api_token_user_id"), table_name="api_token")
    op.drop_table("api_token")
    op.drop_table("user")
    op.drop_table("project")
    op.drop_table("image")
    op.execute("DROP FUNCTION count_slots()")
    op.execute("DROP FUNCTION judgement_stays_at_its_item()")
    op.execute("DROP FUNCTION forbid_change()")
