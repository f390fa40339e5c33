"""Twenty annotators over HTTP against a real server process, and a server that is killed."""

import asyncio
import random
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median, quantiles

import httpx2
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.db import session_scope
from app.lifecycle import JudgementStatus, RoundItemState
from app.models import Judgement, RoundItem, VerdictRow
from app.round_settings import JudgingSettings, LoopSettings
from app.services.accounts.accounts import make_sign_in_link
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_user,
)
from tests.support.serving import WebServer

LEASE_SECONDS = 3.0
HTMX = {"HX-Request": "true"}

Content = tuple[tuple[int, ...], bool]


@pytest.fixture
def server(database: sessionmaker[Session], tmp_path: Path) -> Iterator[WebServer]:
    # As one of two processes, which closes a connection now and then.
    settings = {"LEASE_MINUTES": str(LEASE_SECONDS / 60), "WEB_PROCESSES": "2"}
    web = WebServer(tmp_path / "web.log", settings)
    web.start()
    yield web
    web.stop()
    assert "Traceback" not in (tmp_path / "web.log").read_text(encoding="utf-8")


def fill(n_items: int, n_people: int) -> tuple[int, list[str]]:
    """A round with overlap 2, and a one-time sign-in link per annotator."""
    settings = LoopSettings(judging=JudgingSettings(overlap=2), auto_advance=False)
    with session_scope() as session:
        project = make_project(session)
        round_ = make_round(session, project, settings=settings)
        for _ in range(n_items):
            make_round_item(session, round_, make_item(session, project), slots=2)
        links = []
        for _ in range(n_people):
            user = make_user(session)
            make_membership(session, project, user)
            links.append(make_sign_in_link(session, user))
        return round_.id, links


def is_all_done() -> bool:
    with session_scope() as session:
        return (
            session.scalar(select(func.count()).where(RoundItem.state != RoundItemState.DONE)) == 0
        )


class Page:
    """What an annotator's browser reads out of the judging page."""

    def __init__(self, html: str) -> None:
        found = re.search(r'data-judgement-id="(\d+)"', html)
        self.judgement_id = int(found[1]) if found else None
        version = re.search(r'name="version" value="(\d+)"', html)
        self.version = int(version[1]) if version else 0
        self.choices = [int(n) for n in re.findall(r'name="picked" value="(\d+)"', html)]
        back = re.search(r'id="take-back" method="post" action="([^"]+)"', html)
        self.take_back = back[1] if back else None


class Annotator:
    """Works through the queue; sometimes takes an answer back, sometimes walks away."""

    def __init__(self, web: WebServer, round_id: int, link: str, seed: int) -> None:
        self.web = web
        self.round_id = round_id
        self.chance = random.Random(seed)
        self.client = httpx2.Client(base_url=web.url, timeout=60, headers=HTMX)
        self.acknowledged: dict[int, Content] = {}
        self.seconds: list[float] = []
        self.counts: Counter[str] = Counter()
        self.link = link

    def run(self, all_done: threading.Event) -> None:
        with self.client:
            assert self.ask("GET", self.link).status_code in {204, 303}
            page = self.show()
            while not all_done.is_set():
                if page.judgement_id is None:
                    time.sleep(0.2)
                    page = self.show()
                elif self.chance.random() < 0.05:
                    # Walks away: the lease runs out, and somebody else may get the item.
                    self.counts["leases left to run out"] += 1
                    time.sleep(LEASE_SECONDS * 1.2)
                    page = self.judge(page)
                elif page.take_back and self.chance.random() < 0.08:
                    page = self.reconsider(page.take_back)
                else:
                    page = self.judge(page)

    def ask(self, method: str, path: str, data: dict[str, object] | None = None) -> httpx2.Response:
        """As static/judge/ does: what the server did not answer is sent again, unchanged."""
        while True:
            try:
                return self.client.request(method, path, data=data)
            except httpx2.TransportError:
                self.counts["requests repeated"] += 1
                time.sleep(0.1)

    def show(self) -> Page:
        response = self.ask("GET", f"/rounds/{self.round_id}/judge")
        assert response.status_code == 200, response.text
        return Page(response.text)

    def reconsider(self, take_back: str) -> Page:
        response = self.ask("POST", take_back)
        assert response.status_code == 200, response.text
        page = Page(response.text)
        assert page.judgement_id is not None
        self.acknowledged.pop(page.judgement_id)
        self.counts["taken back"] += 1
        return self.judge(page)

    def judge(self, page: Page) -> Page:
        picked = sorted(self.chance.sample(page.choices, self.chance.randint(0, 2)))
        data: dict[str, object] = {"version": page.version, "active_ms": 500}
        data |= {"picked": picked} if picked else {"none_fits": "true"}
        if self.chance.random() < 0.3:
            saved = self.ask("POST", f"/judgements/{page.judgement_id}/draft", data)
            self.counts["drafts"] += 1
            assert saved.status_code in {200, 409}, saved.text
        started = time.perf_counter()
        response = self.ask("POST", f"/judgements/{page.judgement_id}/submit", data)
        self.seconds.append(time.perf_counter() - started)
        if response.status_code == 409:
            # The lease had run out and the last place was taken: told so, and counted as such.
            assert "is kept" in response.text, response.text
            self.counts["too late"] += 1
            return self.show()
        assert response.status_code == 200, response.text
        assert page.judgement_id is not None
        self.acknowledged[page.judgement_id] = (tuple(picked), not picked)
        return Page(response.text)


def let_them_work(annotators: list[Annotator], limit: float) -> float:
    """Until every item is done; how long that took."""
    all_done = threading.Event()
    started = time.perf_counter()
    with ThreadPoolExecutor(len(annotators)) as pool:
        futures = [pool.submit(annotator.run, all_done) for annotator in annotators]
        while time.perf_counter() - started < limit and not is_all_done():
            for future in futures:
                if future.done():
                    future.result()
            time.sleep(0.1)
        took = time.perf_counter() - started
        all_done.set()
        for future in futures:
            future.result()
    return took


def check_stored(annotators: list[Annotator], n_items: int) -> None:
    """Exactly two submissions per item, and all of them what their authors were told."""
    with session_scope() as session:
        submitted = session.scalars(
            select(Judgement).where(Judgement.status == JudgementStatus.SUBMITTED)
        ).all()
        items = session.scalars(select(RoundItem)).all()
        n_verdicts = Counter(session.scalars(select(VerdictRow.judgement_id)).all())
    per_item = Counter(judgement.round_item_id for judgement in submitted)
    assert Counter(per_item.values()) == {2: n_items}
    assert {(item.state, item.n_taken, item.n_submitted) for item in items} == {
        (RoundItemState.DONE, 2, 2)
    }
    stored = {one.id: (tuple(sorted(one.picked)), one.none_fits) for one in submitted}
    told = {key: value for one in annotators for key, value in one.acknowledged.items()}
    assert stored == told
    assert set(n_verdicts) == set(stored)
    assert set(n_verdicts.values()) == {3}


@pytest.mark.slow
@pytest.mark.alone
def test_twenty_annotators_over_http(server: WebServer, capsys: pytest.CaptureFixture[str]) -> None:
    round_id, links = fill(200, 20)
    annotators = [Annotator(server, round_id, link, seed) for seed, link in enumerate(links)]
    took = let_them_work(annotators, limit=150)
    check_stored(annotators, 200)
    counts = sum((one.counts for one in annotators), Counter())
    seconds = [second for one in annotators for second in one.seconds]
    assert counts["taken back"] > 0
    assert counts["leases left to run out"] > 0
    with capsys.disabled():
        sys.stdout.write(
            f"\n20 annotators, 200 items, overlap 2 over HTTP: 400 submissions stored in "
            f"{took:.1f} s, exactly 2 per item, none lost; {dict(counts)}; submission with the "
            f"next item: median {median(seconds) * 1000:.0f} ms, "
            f"95 % {quantiles(seconds, n=20)[-1] * 1000:.0f} ms\n"
        )


@pytest.mark.slow
@pytest.mark.alone
def test_no_acknowledged_answer_is_lost_when_the_server_is_killed(server: WebServer) -> None:
    round_id, links = fill(60, 8)
    annotators = [Annotator(server, round_id, link, seed) for seed, link in enumerate(links)]

    def kill_twice() -> None:
        for _ in range(2):
            n_before = sum(len(one.seconds) for one in annotators)
            while sum(len(one.seconds) for one in annotators) < n_before + 25:
                time.sleep(0.01)
            server.kill()
            server.start()

    killer = threading.Thread(target=kill_twice)
    killer.start()
    let_them_work(annotators, limit=120)
    killer.join()
    check_stored(annotators, 60)
    assert sum(one.counts["requests repeated"] for one in annotators) > 0


@pytest.mark.slow
def test_more_people_at_once_than_there_are_connections(server: WebServer) -> None:
    """They wait in line for a moment, and nobody holds what another one waits for."""
    n_people = 120
    round_id, links = fill(1, 1)
    with httpx2.Client(base_url=server.url) as client:
        client.get(links[0])
        cookies = dict(client.cookies)

    async def all_at_once() -> list[int]:
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(
            base_url=server.url, cookies=cookies, timeout=60, limits=limits
        ) as client:
            path = f"/rounds/{round_id}/mine"
            replies = await asyncio.gather(*(client.get(path) for _ in range(n_people)))
        return [reply.status_code for reply in replies]

    assert asyncio.run(all_at_once()) == [200] * n_people
