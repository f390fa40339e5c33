"""Projects and people that go, from the command line: said first, confirmed, and gone."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.models import Project, User
from tests.support.command_line import output_of, refusal_of, run_illume
from tests.support.factories import make_project, make_user

Sessions = sessionmaker[Session]


@pytest.fixture
def slug(database: Sessions) -> str:
    with database() as session:
        project = make_project(session, name="Street scenes")
        session.commit()
        return project.slug


@pytest.mark.slow
def test_a_person_is_erased_only_with_the_name_given_twice(database: Sessions) -> None:
    with database() as session:
        make_user(session, name="root", is_admin=True)
        noor_id = make_user(session, name="noor").id
        session.commit()
    said = output_of("user", "erase", "noor")
    assert "0 submitted judgements, 0 better texts" in said
    assert "Nothing was erased" in said
    assert "Type the name" in refuse("noor", "--confirm", "nor")
    assert "last administrator" in refuse("root", "--confirm", "root")
    with database() as session:
        assert session.get_one(User, noor_id).name == "noor"
    assert "Erased noor" in output_of("user", "erase", "noor", "--confirm", "noor", "--judgements")
    with database() as session:
        assert session.get_one(User, noor_id).erased_at is not None
    assert "nobody called" in refusal_of("user", "erase", "noor")


@pytest.mark.slow
def test_a_project_is_archived_taken_out_and_deleted_by_its_name(
    database: Sessions, slug: str
) -> None:
    assert f"Archived {slug}" in output_of("project", "archive", slug)
    assert "is open again" in output_of("project", "unarchive", slug)
    output_of("project", "archive", slug)
    said = output_of("project", "delete", slug)
    assert "0 items" in said
    assert "Nothing was deleted" in said
    with database() as session:
        assert session.scalars(select(Project.slug)).all() == [slug]
    assert f"Deleted {slug}" in output_of("project", "delete", slug, "--name", "Street scenes")
    with database() as session:
        assert session.scalars(select(Project.slug)).all() == []


def refuse(*arguments: str) -> str:
    """The refusal of an erasure that has said what would go before."""
    ended = run_illume("user", "erase", *arguments)
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    return ended.stderr
