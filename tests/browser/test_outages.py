"""PostgreSQL stopped and killed, Redis away, a login proxy whose session ends, while people answer.

Twelve people work over HTTP behind a proxy, as scripts do: what was not acknowledged is sent again,
unchanged. A thirteenth has the page open in a browser. Nothing may be lost, and nobody may wait.
"""

import http.client
import os
import random
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from app.embedded import EmbeddedServices
from app.kit.db import session_scope
from app.lifecycle import JudgementStatus
from app.models import Judgement, Project, Round, Run, User
from app.services.accounts.accounts import make_sign_in_link
from tests.browser.conftest import NewContext, Site
from tests.support.factories import make_item, make_membership, make_round_item, make_user
from tests.support.processes import stopped, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(600)]

N_PEOPLE = 12
N_ITEMS = 300
LONGEST = 10.0
LOGIN = "/proxy/login"
HTMX = {"HX-Request": "true"}


@dataclass
class Record:
    """Every answer that anybody got: what was asked for, its status, its seconds."""

    answers: list[tuple[str, int, float]] = field(default_factory=list)

    def slowest(self, kind: str) -> float:
        return max(seconds for asked, _, seconds in self.answers if asked == kind)

    def statuses(self, kind: str) -> Counter[int]:
        return Counter(status for asked, status, _ in self.answers if asked == kind)


class Proxy(ThreadingHTTPServer):
    """Passes everything on while its own session lasts, and else sends people to its login page."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.target = target.removeprefix("http://")
        self.is_signed_in = True
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Passing(BaseHTTPRequestHandler):
    server: Proxy

    def do_GET(self) -> None:
        self.pass_on()

    def do_POST(self) -> None:
        self.pass_on()

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == LOGIN:
            self.answer(200, [("Content-Type", "text/html")], b"<h1>Sign in to the company</h1>")
        elif not self.server.is_signed_in:
            self.answer(302, [("Location", LOGIN)], b"")
        else:
            connection = http.client.HTTPConnection(self.server.target, timeout=30)
            headers = {name: value for name, value in self.headers.items() if name != "Host"}
            connection.request(self.command, self.path, body, headers)
            reply = connection.getresponse()
            dropped = {"connection", "transfer-encoding", "content-length"}
            kept = [(k, v) for k, v in reply.getheaders() if k.lower() not in dropped]
            self.answer(reply.status, kept, reply.read())
            connection.close()

    def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextmanager
def proxy_before(target: str) -> Iterator[Proxy]:
    with Proxy(target) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        yield proxy
        proxy.shutdown()
        thread.join()


class Person:
    """Answers one item after another until told to stop."""

    def __init__(self, url: str, round_id: int, link: str, record: Record, seed: int) -> None:
        self.client = httpx2.Client(base_url=url, timeout=30, headers=HTMX)
        self.round_id = round_id
        self.link = link
        self.record = record
        self.chance = random.Random(seed)
        self.acknowledged: dict[int, tuple[int, ...]] = {}

    def run(self, is_over: threading.Event) -> None:
        with self.client:
            self.ask(self.link, "GET", marks=None)
            html = self.show()
            while not is_over.is_set():
                time.sleep(self.chance.uniform(0.3, 1.5))
                found = re.search(r'data-judgement-id="(\d+)"', html)
                html = self.judge(int(found[1]), html) if found else self.show()

    def show(self) -> str:
        return self.ask(f"/rounds/{self.round_id}/judge", "GET", marks='id="work"')

    def judge(self, judgement_id: int, html: str) -> str:
        version = re.search(r'name="version" value="(\d+)"', html)
        choices = [int(found) for found in re.findall(r'name="picked" value="(\d+)"', html)]
        picked = sorted(self.chance.sample(choices, min(len(choices), 1)))
        data = {"version": version[1] if version else "0", "picked": picked, "active_ms": 500}
        path = f"/judgements/{judgement_id}"
        if self.chance.random() < 0.5:
            saved = self.ask(f"{path}/draft", "POST", marks="data-version", data=data)
            stored = re.search(r'data-version="(\d+)"', saved)
            assert stored is not None
            data["version"] = stored[1]
        brought = self.ask(f"{path}/submit", "POST", marks='id="work"', data=data)
        self.acknowledged[judgement_id] = tuple(picked)
        return brought

    def ask(self, path: str, method: str, *, marks: str | None, data: Any = None) -> str:
        """Until it is acknowledged: by an answer that is ours, and by nothing else."""
        while True:
            started = time.perf_counter()
            reply = self.client.request(method, path, data=data)
            self.record.answers.append(("page", reply.status_code, time.perf_counter() - started))
            if reply.status_code == 503:
                assert reply.headers["Retry-After"] == "5"
            elif reply.status_code == 302 and reply.headers["Location"] == LOGIN:
                assert self.client.get(LOGIN).status_code == 200
            elif marks is None or marks in reply.text:
                assert reply.status_code in {200, 204, 303}, reply.text
                return reply.text
            else:
                raise AssertionError(f"{method} {path}: {reply.status_code} {reply.text[:500]}")
            time.sleep(0.5)


class Watch:
    """Asks for what needs no database, all the time."""

    PATHS = ("/health/live", "/static/app.css", "/health/ready")

    def __init__(self, url: str, record: Record) -> None:
        self.url = url
        self.record = record

    def run(self, path: str, is_over: threading.Event) -> None:
        with httpx2.Client(base_url=self.url, timeout=30) as client:
            while not is_over.wait(0.2):
                started = time.perf_counter()
                status = client.get(path).status_code
                self.record.answers.append((path, status, time.perf_counter() - started))


def fill(site: Site) -> tuple[list[str], str, str]:
    """More to judge, a link per person, an admin's link, and the project's address."""
    with session_scope() as session:
        round_ = session.get_one(Round, site.round_id)
        project = session.get_one(Project, site.project_id)
        for _ in range(N_ITEMS):
            make_round_item(session, round_, make_item(session, project), slots=2)
        links = []
        for _ in range(N_PEOPLE):
            user = make_user(session)
            make_membership(session, project, user)
            links.append(make_sign_in_link(session, user))
        admin = make_user(session, is_admin=True)
        return links, make_sign_in_link(session, admin), f"/projects/{project.slug}"


def test_nothing_is_lost_and_nobody_waits_while_services_are_away(
    site: Site,
    services: EmbeddedServices,
    new_context: NewContext,
    capsys: pytest.CaptureFixture[str],
) -> None:
    links, admin_link, project_url = fill(site)
    record = Record()
    is_over = threading.Event()
    page = new_context().new_page()
    page.goto(site.link("Noor"))
    page.goto(site.judge_url())
    page.keyboard.press("g")
    watch = Watch(site.web.url, record)
    with proxy_before(site.web.url) as proxy, ThreadPoolExecutor(N_PEOPLE + 3) as pool:
        people = [
            Person(proxy.url, site.round_id, link, record, seed) for seed, link in enumerate(links)
        ]
        futures = [pool.submit(person.run, is_over) for person in people]
        futures += [pool.submit(watch.run, path, is_over) for path in watch.PATHS]
        try:
            wait_for(lambda: all(person.acknowledged for person in people), seconds=60)
            first = page.locator("#answer").get_attribute("data-judgement-id")

            with stopped(services.pids()["postgres"], 20):
                page.keyboard.press("1")
                page.keyboard.press("Enter")
                expect(page.locator("#saved")).to_contain_text("Not saved yet")
            expect(page.locator(f"#answer[data-judgement-id='{first}']")).to_have_count(0)

            time.sleep(3)
            os.kill(services.pids()["postgres"], signal.SIGKILL)
            time.sleep(6)

            with httpx2.Client(base_url=site.web.url, timeout=30) as admin:
                wait_for(lambda: admin.get("/health/ready").status_code == 200, seconds=60)
                with stopped(services.pids()["redis"], 25):
                    assert admin.get(admin_link).status_code in {200, 303}
                    started = time.perf_counter()
                    asked = admin.post(f"{project_url}/releases")
                    seconds = time.perf_counter() - started
                    record.answers.append(("work asked for", asked.status_code, seconds))

            proxy.is_signed_in = False
            time.sleep(6)
            proxy.is_signed_in = True
            time.sleep(3)
        finally:
            is_over.set()
            for future in futures:
                future.result(60)
    check(site, record, people, capsys)


def check(
    site: Site, record: Record, people: list[Person], capsys: pytest.CaptureFixture[str]
) -> None:
    told = {key: value for person in people for key, value in person.acknowledged.items()}
    with session_scope() as session:
        stored = {
            one.id: tuple(sorted(one.picked))
            for one in session.scalars(
                select(Judgement)
                .join(User, User.id == Judgement.user_id)
                .where(Judgement.status == JudgementStatus.SUBMITTED, User.name != "Noor")
            )
        }
        n_of_browser = len(
            session.scalars(
                select(Judgement)
                .join(User, User.id == Judgement.user_id)
                .where(Judgement.status == JudgementStatus.SUBMITTED, User.name == "Noor")
            ).all()
        )
        n_runs = len(session.scalars(select(Run).where(Run.project_id == site.project_id)).all())
    with capsys.disabled():
        sys.stdout.write(
            f"\n{N_PEOPLE} people, PostgreSQL stopped for 20 s and killed, Redis stopped for 25 s, "
            f"a proxy signed out for 6 s: {len(told)} answers acknowledged, {len(stored)} stored, "
            f"and {n_of_browser} of the browser; pages {dict(record.statuses('page'))}, slowest "
            f"{record.slowest('page'):.1f} s; "
            + "; ".join(
                f"{kind} {dict(record.statuses(kind))}, slowest {record.slowest(kind):.2f} s"
                for kind in (*Watch.PATHS, "work asked for")
            )
            + "\n"
        )
    assert stored == told
    assert n_of_browser == 1
    assert n_runs == 1
    assert set(record.statuses("page")) <= {200, 204, 302, 303, 503}
    assert record.statuses("page")[503] > 0
    assert record.statuses("page")[302] > 0
    assert record.slowest("page") < LONGEST
    assert set(record.statuses("work asked for")) <= {204, 303}
    assert record.slowest("work asked for") < LONGEST
    for path in ("/health/live", "/static/app.css"):
        assert set(record.statuses(path)) == {200}
        assert record.slowest(path) < 3
    assert set(record.statuses("/health/ready")) == {200, 503}
    assert record.slowest("/health/ready") < 5
