"""A project's base model is pinned by its content, and proved before people work with it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Projects that have trained already began with the base of their newest adapter.
PIN_TRAINED = """
INSERT INTO project_base (project_id, base_model, asked_revision, digest)
SELECT DISTINCT ON (adapter.project_id, adapter.base_model, asked.revision)
    adapter.project_id, adapter.base_model, asked.revision, adapter.base_revision
FROM adapter
JOIN run ON run.id = adapter.run_id
JOIN round ON round.id = run.round_id
CROSS JOIN LATERAL (SELECT COALESCE(round.settings ->> 'revision', '') AS revision) AS asked
WHERE adapter.base_revision <> '' AND length(adapter.base_revision) <= 64
ORDER BY adapter.project_id, adapter.base_model, asked.revision, adapter.id DESC
"""


def upgrade() -> None:
    op.create_table(
        "project_base",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("base_model", sa.Text(), nullable=False),
        sa.Column("asked_revision", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("found_digest", sa.String(length=64), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("digest <> ''", name=op.f("ck_project_base_digest_given")),
        sa.CheckConstraint("found_digest <> digest", name=op.f("ck_project_base_found_another")),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
            name=op.f("fk_project_base_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project_base")),
        sa.UniqueConstraint(
            "project_id",
            "base_model",
            "asked_revision",
            name=op.f("uq_project_base_project_id_base_model_asked_revision"),
        ),
    )
    op.create_table(
        "model_proof",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("base_digest", sa.String(length=64), nullable=False),
        sa.Column("libraries", sa.Text(), nullable=False),
        sa.Column("settings_digest", sa.String(length=64), nullable=False),
        sa.Column("base_model", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("measured", postgresql.JSONB(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_model_proof_reason_given")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_proof")),
        sa.UniqueConstraint(
            "base_digest",
            "libraries",
            "settings_digest",
            name=op.f("uq_model_proof_base_digest_libraries_settings_digest"),
        ),
    )
    op.execute(PIN_TRAINED)


def downgrade() -> None:
    op.drop_table("model_proof")
    op.drop_table("project_base")
