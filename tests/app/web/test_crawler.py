"""Every link of every page leads somewhere, and no form, whatever it is sent, is a crash of ours.

Each person looks at a site with everything that it can show: rounds in every state, practice,
guidelines in several versions, releases, imports that failed, people who left. `pytest -s` prints
the number of pages, links and forms.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.cli.demo.demo import Sizes, create_demo_project
from app.cli.demo.practice import add_demo_practice
from app.kit.db import session_scope
from app.kit.storage import atomic_file
from app.lifecycle import Decision, Job, Role, RoundStatus, RunStatus
from app.models import Project, User, Worker
from app.queries.projects.guidelines import put_reading
from app.services.accounts import accounts
from app.services.judging import leases
from app.services.projects import guidelines, projects
from app.services.releases.files import FILES, archive_path
from app.services.releases.releases import create_release
from tests.app.web.language.test_languages_rounds import busy_round
from tests.browser.conftest import stored_picture
from tests.support.browsing import make_token
from tests.support.crawler import Crawler, Form, OneSiteOfTheHost, shape_of
from tests.support.dataset_files import own_store
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_run,
    make_user,
)
from tests.support.judging import submit
from tests.support.quality.checks import judge_some, make_checks, settings_with
from tests.support.released_project import make_released_project

Fields = tuple[tuple[str, str], ...]

ODD = {
    "NUL": "a\x00b",
    "a number of 64 bits": str(2**63),
    "a number of 5,000 digits": "9" * 5_000,
    "a negative number": "-1",
    "a number that is none": "NaN",
    "a lone surrogate": "a\ud800b",
    "100 kB of text": "long " * 20_000,
    "markup": "<script>alert(1)</script>\u202e",
    "a path": "../../etc/passwd",
}


@dataclass(frozen=True)
class Site:
    admin_id: int
    annotator_id: int


@pytest.fixture
def site(database: sessionmaker[Session], tmp_path: Path) -> Iterator[Site]:
    with own_store(tmp_path):
        with session_scope() as session:
            admin = make_user(session, name="Ada", is_admin=True)
            annotator = make_user(session, name="Noor")
            for project in fill(session, tmp_path / "released", admin, annotator):
                make_membership(session, project, admin, Role.ADMIN)
            found = Site(admin.id, annotator.id)
        yield found


def fill(session: Session, folder: Path, admin: User, annotator: User) -> list[Project]:
    """Projects with everything that pages can show."""
    folder.mkdir()
    make_token(session, admin)
    closed = make_user(session, name="Left")
    accounts.set_disabled(session, closed, True, actor=admin)
    sizes = Sizes(n_train=8, n_validation=2, n_test=6)
    demo = create_demo_project(session, name="Demo", seed=0, sizes=sizes)
    add_demo_practice(session, demo, seed=0)
    released, _ = make_released_project(session, folder)
    release = create_release(session, released, actor=admin)
    for file in FILES.values():
        with atomic_file(archive_path(release, file)) as stream:
            stream.write(b"PK the archive")
    create_release(session, released, actor=admin)
    busy = [_busy_project(session, status) for status in RoundStatus]
    found = [demo, released, *busy]
    for project in found:
        make_membership(session, project, annotator)
        projects.make_invite(session, project, role=Role.ANNOTATOR, max_uses=2, days=1, actor=admin)
    return [*found, _judged_project(session, admin, annotator)]


def _busy_project(session: Session, status: RoundStatus) -> Project:
    project = make_project(session, name=f"Rounds that are {status.value}")
    is_completed = status is RoundStatus.COMPLETED
    round_ = busy_round(session, project, RoundStatus.EVALUATING if is_completed else status)
    if is_completed:
        round_.decision, round_.decision_reason = Decision.ROUND_LIMIT, "One round was asked for."
        round_.status = status
    worker = session.scalars(select(Worker).where(Worker.name == "werk")).one()
    worker.name = f"worker of {status.value}"
    for status_of_run, result, error in (
        (RunStatus.QUEUED, {}, None),
        (RunStatus.FAILED, {"errors": ["items.jsonl line 1: no <image>"] * 3}, "3 problems"),
        (RunStatus.CANCELLED, {}, None),
    ):
        run = make_run(session, project, Job.IMPORT, status=RunStatus.RUNNING)
        run.status, run.result, run.error = status_of_run, result, error
        run.finished_at = None if status_of_run is RunStatus.QUEUED else datetime.now(UTC)
    session.flush()
    return project


def _judged_project(session: Session, admin: User, annotator: User) -> Project:
    """People are at work: an item on screen, one submitted, one free; the guidelines change."""
    project = make_project(session, name="People at work")
    round_ = make_round(session, project, settings=settings_with(0.15, check_floor=0.9))
    make_checks(session, project, 2, images=[stored_picture(session, n) for n in (10, 11)])
    for number in range(8):
        item = make_item(session, project, image=stored_picture(session, number))
        make_round_item(session, round_, item, slots=3)
    for user in (annotator, make_user(session), make_user(session)):
        make_membership(session, project, user)
        put_reading(session, project.id, user.id, project.guidelines_version)
        taken = leases.hand_out_item(session, round_, user, now=datetime.now(UTC))
        assert taken is not None
        if user is not annotator:
            submit(session, taken, none_fits=True, comment="nothing fits")
            judge_some(session, round_, user, 4)
    guidelines.update_guidelines(session, project, guidelines="# Pick **more**.", actor=admin)
    return project


@pytest.fixture
def crawl(database: sessionmaker[Session]) -> Iterator[Callable[..., Crawler]]:
    """Opens crawlers; each keeps one event loop for all that it asks."""
    with ExitStack() as open_ones:

        def begin(user_id: int | None, language: str = "en", **more: Any) -> Crawler:
            crawler = Crawler(database, user_id, language, **more)
            open_ones.enter_context(crawler.browser)
            return crawler

        yield begin


def send_every_form(crawler: Crawler, fields_of: Callable[[Form], Iterator[Fields]]) -> int:
    """Send each form that was seen with what is given for it; those that end something last."""
    forms = sorted(crawler.seen.forms.values(), key=_ends_something)
    n_sent = 0
    for form in forms:
        for fields in fields_of(form):
            crawler.send(form, fields, script=n_sent % 2 == 1)
            n_sent += 1
    return n_sent


def _ends_something(form: Form) -> int:
    last = ("sign-out", "close", "cancel", "remove", "revoke", "delete", "archive", "erase")
    return sum(word in form.action for word in last)


def report(who: str, crawler: Crawler, n_sent: int) -> None:
    seen = crawler.seen
    statuses = ", ".join(f"{n} × {status}" for status, n in sorted(seen.statuses.items()))
    print(  # noqa: T201
        f"{who}: {len(seen.pages)} pages, {len(seen.links)} links, {len(seen.forms)} forms, "
        f"{n_sent} times sent ({statuses})"
    )


@pytest.mark.parametrize("language", ["en", pytest.param("de", marks=pytest.mark.slow)])
def test_every_link_leads_somewhere_and_no_empty_form_is_a_crash(
    site: Site, crawl: Callable[..., Crawler], language: str
) -> None:
    faults = []
    pages = {}
    for who, user_id in (("admin", site.admin_id), ("annotator", site.annotator_id)):
        crawler = crawl(user_id, language)
        crawler.follow_links()
        pages[who] = len(crawler.seen.pages)
        n_sent = send_every_form(crawler, lambda form: iter([()]))
        report(f"{who}, {language}", crawler, n_sent)
        faults += crawler.seen.faults
    assert faults == []
    assert pages["admin"] > 60
    assert pages["annotator"] > 10


@pytest.mark.parametrize(
    ("who", "strips"),
    [
        pytest.param("admin", False, id="admin, path passed on", marks=pytest.mark.slow),
        pytest.param("annotator", True, id="annotator, path stripped"),
        pytest.param("admin", True, id="admin, path stripped", marks=pytest.mark.slow),
        pytest.param("annotator", False, id="annotator, path passed on", marks=pytest.mark.slow),
    ],
)
def test_below_a_path_every_link_and_form_stays_below_it(
    site: Site,
    crawl: Callable[..., Crawler],
    below_path: Callable[[str], None],
    who: str,
    strips: bool,
) -> None:
    below_path("http://testserver/tools/illume/")
    crawler = crawl(
        site.admin_id if who == "admin" else site.annotator_id,
        proxy=lambda app: OneSiteOfTheHost(app, "/tools/illume", strips=strips),
        site_path="/tools/illume",
    )
    crawler.follow_links()
    n_sent = send_every_form(crawler, lambda form: iter([form.fields]))
    report(f"{who}, below a path", crawler, n_sent)
    assert crawler.seen.faults == []
    assert len(crawler.seen.pages) > (60 if who == "admin" else 10)


@pytest.mark.slow
def test_nobody_gets_a_crash_at_the_addresses_of_others(
    site: Site, crawl: Callable[..., Crawler]
) -> None:
    """Every page and form of the administrator, for somebody who never signed in."""
    admin = crawl(site.admin_id)
    admin.follow_links()
    nobody = crawl(None)
    nobody.follow_links()
    for url in sorted(admin.seen.links):
        answer = nobody.browser.get(url)
        nobody.note("GET", url, answer)
        is_public = url.startswith(("/static/", "/sign-in", "/favicon.ico", "/health/"))
        assert is_public or answer.status_code in {303, 404}, f"{url} is {answer.status_code}"
    nobody.seen.forms = admin.seen.forms
    n_sent = send_every_form(nobody, lambda form: iter([()]))
    report("nobody", nobody, n_sent)
    assert nobody.seen.faults == []


def odd_fields(form: Form) -> Iterator[Fields]:
    """The form as it is shown, with an odd text in one field at a time, and in all at once."""
    for text in ODD.values():
        names = [name for name, _ in form.fields]
        for chosen in (*dict.fromkeys(names), None):
            yield tuple(
                (name, text if chosen in {name, None} else value) for name, value in form.fields
            )


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("who", ["admin", "annotator"])
def test_no_form_is_a_crash_whatever_is_written_into_it(
    site: Site, crawl: Callable[..., Crawler], who: str
) -> None:
    crawler = crawl(site.admin_id if who == "admin" else site.annotator_id)
    crawler.follow_links()
    n_sent = send_every_form(crawler, odd_fields)
    report(f"{who}, odd values", crawler, n_sent)
    assert crawler.seen.faults == []


@pytest.mark.slow
def test_no_address_is_a_crash_whatever_stands_in_it(
    site: Site, crawl: Callable[..., Crawler]
) -> None:
    crawler = crawl(site.admin_id)
    crawler.follow_links()
    faults = []
    shapes = {shape_of(url): url for url in sorted(crawler.seen.links)}
    for url in shapes.values():
        path, _, query = url.partition("?")
        for text in ODD.values():
            odd = quote(text[:3_000].encode("utf-8", "surrogatepass"), safe="")
            changed = {re.sub(r"(?<=/)\d+(?=/|$)", odd, path), f"{path}?page={odd}&next={odd}"}
            changed |= {f"{path}?{re.sub('=[^&]*', f'={odd}', query)}"} if query else set()
            parts = path.strip("/").split("/")
            changed |= {f"/{'/'.join([*parts[:-1], odd])}"}
            for address in changed:
                answer = crawler.browser.get(address)
                if answer.status_code >= 500:
                    faults.append(f"{address[:120]} is {answer.status_code}")
    print(f"{len(shapes)} kinds of addresses, {len(ODD)} odd values")  # noqa: T201
    assert faults == []
