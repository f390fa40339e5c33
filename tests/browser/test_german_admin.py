"""The admin pages in German: words are longer there, and still everything fits a small screen."""

import pytest
from sqlalchemy import func, select

from app.kit.db import session_scope
from app.lifecycle import Job, Role, RoundStatus, RunStatus
from app.models import Item, Membership, Project
from app.services.judging.practice_items import add_item
from tests.browser.conftest import DESKTOP, PHONE, NewContext, Site
from tests.browser.test_admin import FAULTS
from tests.support.factories import make_membership, make_project, make_round, make_run, make_user

pytestmark = pytest.mark.browser


def paths_of(site: Site) -> list[str]:
    """Every admin page of a project, with something on it."""
    with session_scope() as session:
        project = session.get_one(Project, site.project_id)
        member = make_membership(session, project, make_user(session, name="Bo"), Role.ADMIN)
        item = session.scalars(select(Item).where(Item.project_id == project.id)).first()
        assert item is not None
        practised = add_item(session, project, item, actor=None)
        ended = make_project(session, name="Straßenszenen bei Nacht und Nebel")
        make_round(session, ended, status=RoundStatus.CANCELLED)
        refused = make_run(session, project, Job.IMPORT)
        refused.status, refused.finished_at = RunStatus.FAILED, func.now()
        refused.error = "1 problem"
        refused.result = {"errors": ["items.jsonl, line 3: " + "z" * 200]}
        session.flush()
        base = f"/projects/{project.slug}"
        membership = session.get_one(Membership, member.id)
        return [
            "/projects",
            "/projects/new",
            base,
            f"/projects/{ended.slug}",
            f"{base}/guidelines",
            f"{base}/settings",
            f"{base}/members",
            f"{base}/members/{membership.id}/remove",
            f"{base}/imports",
            f"/runs/{refused.id}",
            f"{base}/practice/items",
            f"{base}/practice/items/{practised.id}",
            f"{base}/checks",
            f"{base}/checks/new?item={item.external_id}",
            "/people",
        ]


@pytest.mark.parametrize("size", [pytest.param(DESKTOP, marks=pytest.mark.slow), PHONE])
def test_german_admin_pages_fit_their_screen(
    site: Site, new_context: NewContext, size: tuple[int, int]
) -> None:
    context = new_context(size, touch=size == PHONE)
    context.set_extra_http_headers({"Accept-Language": "de"})
    page = context.new_page()
    paths = paths_of(site)
    page.goto(site.link("Ada", is_admin=True))
    for path in paths:
        page.goto(site.web.url + path)
        assert page.evaluate("document.documentElement.lang") == "de", path
        for fold in page.locator("details.fold").all():
            fold.evaluate("fold => fold.open = true")
        assert page.evaluate(FAULTS) == [], path
