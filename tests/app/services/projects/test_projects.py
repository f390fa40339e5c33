"""Projects, members and invites."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.db import session_scope
from app.kit.errors import Conflict, InvalidInput
from app.lifecycle import Role
from app.models import Event, Membership, Project, User
from app.queries.projects.projects import find_membership
from app.round_settings import LoopSettings
from app.services.projects import projects
from app.services.projects.guidelines import update_guidelines
from tests.support.factories import make_membership, make_project, make_user


def test_new_project_has_a_secret_settings_and_its_maker_as_admin(session: Session) -> None:
    ada = make_user(session)
    one = projects.create_project(session, name="  Street   scenes ", actor=ada)
    two = projects.create_project(session, name="Street scenes", actor=None)
    assert (one.name, one.slug, two.slug) == ("Street scenes", "street-scenes", "street-scenes-2")
    assert len(one.pseudonym_secret) == 64
    assert one.pseudonym_secret != two.pseudonym_secret
    assert projects.settings_of(one) == LoopSettings()
    membership = find_membership(session, one.id, ada.id)
    assert membership is not None
    assert membership.role is Role.ADMIN


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Äpfel & Birnen", "apfel-birnen"),
        ("日本語", "project"),
        ("new", "new-2"),
        ("--", "project"),
        ("x" * 150, "x" * 60),
    ],
)
def test_every_name_gets_a_plain_address(session: Session, name: str, slug: str) -> None:
    assert projects.create_project(session, name=name, actor=None).slug == slug


def test_many_projects_of_one_name_all_get_an_address(session: Session) -> None:
    slugs = {projects.create_project(session, name="Same", actor=None).slug for _ in range(12)}
    assert len(slugs) == 12


@pytest.mark.parametrize("name", ["", "   ", "x" * 201])
def test_names_have_rules(session: Session, name: str) -> None:
    with pytest.raises(InvalidInput):
        projects.create_project(session, name=name, actor=None)


def test_change_of_settings_is_history_with_what_changed(session: Session) -> None:
    project = make_project(session)
    settings = LoopSettings(seed=3, auto_continue=True)
    projects.update_settings(session, project, settings=settings, actor=None)
    projects.update_settings(session, project, settings=settings, actor=None)
    session.flush()
    (event,) = session.scalars(select(Event).where(Event.project_id == project.id)).all()
    assert event.details["changes"] == {"seed": [0, 3], "auto_continue": [False, True]}


def test_only_changed_guidelines_get_a_new_version(session: Session) -> None:
    project = make_project(session)
    for text in (project.guidelines, "New\r\nrules ", "New\nrules"):
        update_guidelines(session, project, guidelines=text, actor=None)
    assert (project.guidelines, project.guidelines_version) == ("New\nrules", 2)


def test_adding_a_member_twice_keeps_the_first_role(session: Session) -> None:
    project, ada = make_project(session), make_user(session)
    first = projects.add_member(session, project, ada, role=Role.ADMIN, actor=None)
    again = projects.add_member(session, project, ada, role=Role.ANNOTATOR, actor=None)
    assert again is first
    assert again.role is Role.ADMIN


def test_the_last_admin_stays_but_for_the_installations_administrator(session: Session) -> None:
    project = make_project(session)
    ada, root = make_user(session), make_user(session, is_admin=True)
    membership = make_membership(session, project, ada, Role.ADMIN)
    with pytest.raises(Conflict, match="last admin"):
        projects.set_role(session, membership, Role.ANNOTATOR, actor=ada)
    with pytest.raises(Conflict, match="last admin"):
        projects.remove_member(session, membership, actor=ada)
    projects.remove_member(session, membership, actor=root)
    session.flush()
    assert find_membership(session, project.id, ada.id) is None


def test_invite_ends_by_time(session: Session) -> None:
    project = make_project(session)
    token = projects.make_invite(session, project, actor=None).rpartition("/")[2]
    invite, found = projects.find_invite(session, token)
    assert found is project
    invite.expires_at = datetime.now(UTC) - timedelta(seconds=1)
    with pytest.raises(projects.InviteIsOver):
        projects.join(session, token, make_user(session))


@pytest.mark.parametrize(("max_uses", "days"), [(0, 1.0), (1, 0.0), (1, 366.0)])
def test_invites_have_rules(session: Session, max_uses: int, days: float) -> None:
    with pytest.raises(InvalidInput):
        projects.make_invite(
            session, make_project(session), max_uses=max_uses, days=days, actor=None
        )


def test_refused_account_uses_no_invite(session: Session) -> None:
    project = make_project(session)
    token = projects.make_invite(session, project, max_uses=1, actor=None).rpartition("/")[2]
    with pytest.raises(InvalidInput):
        projects.join_as_new(session, token, name="Noor", password="short")
    user, _ = projects.join_as_new(session, token, name="Noor", password="long enough now")
    assert find_membership(session, project.id, user.id) is not None


def test_invite_for_two_lets_two_of_ten_in(database: sessionmaker[Session]) -> None:
    with database.begin() as session:
        project = make_project(session)
        link = projects.make_invite(session, project, max_uses=2, actor=None)
        ids = [make_user(session).id for _ in range(10)]
    token = link.rpartition("/")[2]

    def join(user_id: int) -> bool:
        try:
            with session_scope() as own:
                projects.join(own, token, own.get_one(User, user_id))
        except projects.InviteIsOver:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(join, ids)) == 2
    with database() as session:
        n = session.execute(
            select(func.count())
            .select_from(Membership)
            .where(Membership.project_id == session.scalars(select(Project.id)).one())
        ).scalar_one()
    assert n == 2
