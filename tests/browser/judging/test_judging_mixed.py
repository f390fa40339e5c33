"""A round of all four strategies on the demo model, from the settings to the release: sampled by
real workers, and judged in a real browser that learns nothing of who drew a text before that."""

import json
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import APIResponse, Page, expect
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.cli.demo.demo import Sizes, create_demo_project
from app.cli.demo.prior import add_scene_prior
from app.kit.db import session_scope
from app.lifecycle import Job, RoundStatus, RunStatus
from app.models import Image, Judgement, Round, Run, TurnMark, VerdictRow
from app.round_settings.changing import with_changes
from app.services.projects.projects import settings_of
from tests.browser.conftest import NewContext, Site
from tests.browser.judging.recording import Got, Recording, differing
from tests.browser.judging.test_judging import answer_id
from tests.support.rounds.four_strategies import (
    DRAWS,
    N_ITEMS,
    SETTINGS,
    SHARES,
    assert_all_drew_their_share,
    count_draws,
    count_draws_of_admitted,
    list_new_keys,
    mean_words,
)
from tests.support.rounds.mixed import TELLTALE, set_origins, swap_origins
from tests.support.serving import WebServer
from tests.support.worker_processes import Processes, processes, wait_for, wait_until_closed

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(1200)]

A_ROUND = 600.0


@dataclass
class Demo:
    """A project of scenes with a prior, its admin in front of a browser, and workers."""

    site: Site
    admin: Page
    database: sessionmaker[Session]
    running: Processes

    def go(self, path: str) -> None:
        self.admin.goto(self.site.web.url + path)

    def start_round(self, number: int) -> int:
        self.go("/projects/four/rounds/new")
        self.admin.get_by_role("button", name=f"Start round {number}").click()
        expect(self.admin.locator("#round-status")).to_be_visible()
        with self.database() as session:
            return session.scalars(select(Round.id).where(Round.number == number)).one()

    def wait_until_sampled(self, round_id: int) -> None:
        def is_sampled() -> bool:
            with self.database() as session:
                return session.get_one(Round, round_id).status is RoundStatus.JUDGING

        wait_for(is_sampled, seconds=A_ROUND, describe=self.running.logs)

    def wait_until_done(self, job: Job, round_id: int | None = None) -> None:
        """Wait for the runs of a job, of which there is one at least."""

        def is_done() -> bool:
            with self.database() as session:
                found = select(Run).where(
                    Run.job == job, Run.round_id.is_not_distinct_from(round_id)
                )
                runs = session.scalars(found).all()
            assert not any(run.error for run in runs)
            return bool(runs) and all(run.status is RunStatus.SUCCEEDED for run in runs)

        wait_for(is_done, seconds=A_ROUND, describe=self.running.logs)


@pytest.fixture
def demo(
    web: WebServer, database: sessionmaker[Session], new_context: NewContext, tmp_path: Path
) -> Iterator[Demo]:
    with session_scope() as session:
        project = create_demo_project(session, name="Four", seed=0, sizes=Sizes(60, 8, 8))
        add_scene_prior(session, project, seed=0)
        settings = with_changes(settings_of(project), SETTINGS)
        project.settings = settings.model_dump(mode="json")
        site = Site(web, 0, project.id)
    with processes(tmp_path) as running:
        for command in (("worker", "--queues", "gpu"), ("worker", "--queues", "cpu"), ("beat",)):
            running.start(*command)
        admin = new_context().new_page()
        admin.goto(site.link("Ada", is_admin=True))
        yield Demo(site, admin, database, running)
        admin.context.close()


def test_four_strategies_are_sampled_judged_blind_opened_and_released(
    demo: Demo, new_context: NewContext
) -> None:
    choose(demo, "strategies", "\n".join(SHARES))
    taught = demo.start_round(1)
    ended = wait_until_closed(demo.database, taught, demo.running, seconds=A_ROUND)
    assert ended.status is RoundStatus.COMPLETED
    choose(demo, "judging.judges", "people")
    round_id = demo.start_round(2)
    demo.wait_until_sampled(round_id)
    with demo.database() as session:
        assert_all_drew_their_share(session, round_id)

    lin = new_context().new_page()
    lin.goto(demo.site.link("Lin"))
    lin.goto(f"{demo.site.web.url}/rounds/{round_id}/judge")
    lin.keyboard.press("g")  # the guidelines, read and closed
    judgement_id = answer_id(lin)
    for _ in range(2):  # picked and not, so that something is saved from here on
        lin.keyboard.press("1")
        expect(lin.locator("#saved")).to_contain_text("Saved")
    assert_nothing_stands_around_the_texts(lin, round_id)

    def as_lin(look: Callable[[Page], set[Got]]) -> Callable[[], set[Got]]:
        """What somebody else's browser gets with her session, each time a new one."""

        def got() -> set[Got]:
            context = new_context()
            context.add_cookies(lin.context.cookies())  # type: ignore[arg-type]
            found = look(context.new_page())
            context.close()
            return found

        return got

    judging = as_lin(lambda page: judge_and_take_back(demo, page, round_id))
    assert swapped_changes(demo, round_id, judging) == set()
    lin.reload()
    submit_all_that_is_shown(lin)
    open_origins(demo, lin, round_id)
    # The same comparison does see what is no secret any more.
    judgement = f"/judgements/{judgement_id}"
    opened = as_lin(lambda page: look_at(page, demo.site.web.url + judgement))
    assert swapped_changes(demo, round_id, opened) == {f"GET {judgement}"}
    mark_and_find_the_verdicts_stand(demo, lin, judgement_id)

    for _ in range(N_ITEMS - 1):
        lin.goto(f"{demo.site.web.url}/rounds/{round_id}/judge")
        submit_all_that_is_shown(lin)
    assert_the_round_tells_lengths(demo, round_id)
    assert_released_with_lineage(demo)


def swapped_changes(demo: Demo, round_id: int, look: Callable[[], set[Got]]) -> set[str]:
    """Returns what a browser gets otherwise while all draws are of another strategy."""
    before = look()
    with session_scope() as session:
        origins = swap_origins(session, session.get_one(Round, round_id))
    try:
        return differing(before, look())
    finally:
        with session_scope() as session:
            set_origins(session, origins)


# --- What an admin does ----------------------------------------------------------------------


def choose(demo: Demo, name: str, value: str) -> None:
    """Change one setting of the project."""
    demo.go("/projects/four/settings")
    field = demo.admin.locator(f"[name='{name}']")
    if not field.is_visible():
        demo.admin.locator("details", has=field).locator("summary").click()
    field.fill(value)
    demo.admin.get_by_role("button", name="Save the settings").click()
    expect(demo.admin.locator("#toasts")).to_contain_text("Saved")


def assert_the_round_tells_lengths(demo: Demo, round_id: int) -> None:
    """The page of the round says how long the shown texts of each strategy are on the average."""
    demo.wait_until_done(Job.ASSESS, round_id)
    demo.go(f"/rounds/{round_id}")
    told = {
        row.locator("th").inner_text(): row.locator("td").last.inner_text().split()[0]
        for row in demo.admin.locator("#strategies-found tbody tr").all()
    }
    with demo.database() as session:
        lengths = mean_words(session, round_id)
    assert told == {name: f"{length:.1f}" for name, length in lengths.items()}
    print(f"words per shown text: {told}")  # noqa: T201 - a figure


def assert_released_with_lineage(demo: Demo) -> None:
    """Each released text says by name which strategies drew it, and with which adapter."""
    demo.go("/projects/four/releases")
    demo.admin.get_by_role("button", name="Make release 1").click()
    demo.admin.wait_for_url("**/runs/*")
    demo.wait_until_done(Job.RELEASE)
    demo.go("/projects/four/releases")
    with demo.admin.expect_download() as download:
        demo.admin.locator("a[download]", has_text="jsonl").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        names = {Path(name).name: name for name in archive.namelist()}
        card = json.loads(archive.read(names["release.json"]))
        lines = archive.read(names["rationales.jsonl"]).decode().splitlines()
    assert [(one["judged_blind"], set(one["strategies"])) for one in card["rounds"]] == [
        (True, set(DRAWS))
    ] * 2
    released = [json.loads(line) for line in lines]
    with demo.database() as session:
        drawn = count_draws_of_admitted(session)
    told = Counter(
        (row["item"], row["rationale"], draw["strategy"], draw["adapter"])
        for row in released
        for draw in row["draws"]
    )
    assert told == drawn
    assert {strategy for _, _, strategy, _ in told} == set(DRAWS)


# --- Judging ---------------------------------------------------------------------------------


def assert_nothing_stands_around_the_texts(page: Page, round_id: int) -> None:
    """What the browser made of the page names no strategy and no draw, in words or in names, and
    numbers follow the texts themselves."""
    around = page.locator("#work").evaluate(
        """work => {
          const copy = work.cloneNode(true);
          for (const known of copy.querySelectorAll(".choice__text, h1, .asked__answer"))
            known.remove();
          return copy.outerHTML.toLowerCase();
        }"""
    )
    assert [word for word in TELLTALE if word in around] == []
    offers = page.locator("[data-candidate]").all()
    numbers = [int(offer.get_attribute("data-candidate") or 0) for offer in offers]
    with session_scope() as session:
        keys = list_new_keys(session, round_id, numbers)
    assert len(keys) > 1
    assert keys == sorted(keys)


def judge_and_take_back(demo: Demo, page: Page, round_id: int) -> set[Got]:
    """Judge an item up to the moment before it is opened, and leave it as it was; on the way look
    wherever somebody could hope to learn something. Returns all that came."""
    url, judge = demo.site.web.url, f"/rounds/{round_id}/judge"
    recording = Recording(page)
    recording.go(url + judge)
    judgement = f"/judgements/{answer_id(page)}"
    pick(page, recording)
    page.keyboard.press("Enter")
    expect(page.locator("[data-goes-on]")).to_be_visible()
    recording.read()
    page.keyboard.press("u")
    expect(page.locator("#answer[data-editable=yes]")).to_be_visible()
    recording.read()
    pick(page, recording)
    form = {"version": page.locator("[name=version]").input_value(), "active_ms": "0"}
    for path in (judgement, f"/rounds/{round_id}/mine", f"/rounds/{round_id}", "/projects/four"):
        recording.go(url + path)
    for path, sent in {
        judge: None,
        judgement: None,
        f"/rounds/{round_id}": None,
        "/projects/four/releases": None,
        f"{judgement}/traces": {},
        f"{judgement}/marks": form,
        f"{judgement}/submit": form,
        f"{judgement}/draft": {**form, "picked": "999999"},
        f"{judgement}/heartbeat": {"active_ms": "0"},
    }.items():
        recording.keep("program", ask(page, url + path, sent))
    known = {
        got.asked.split("/images/")[1][:64] for got in recording.got if "/images/" in got.asked
    }
    with session_scope() as session:
        assert known <= set(session.scalars(select(Image.sha256)))
    assert len(known) > 1, "that of the next item was fetched ahead"
    return recording.got


def pick(page: Page, recording: Recording) -> None:
    """Pick the first rationale, or no longer, and wait until that is stored."""
    with page.expect_response(lambda response: response.url.endswith("/draft")):
        page.keyboard.press("1")
    expect(page.locator("#saved")).to_contain_text("Saved")
    recording.read()


def ask(page: Page, url: str, form: Mapping[str, str] | None = None) -> APIResponse:
    """Ask as a program would, with the session of a page; with a form, send it."""
    headers = {"Accept": "application/json", "Origin": "/".join(url.split("/")[:3])}
    if form is None:
        return page.context.request.get(url, headers=headers)
    return page.context.request.post(url, headers=headers, form=dict(form))


def submit_all_that_is_shown(page: Page) -> None:
    """Pick every rationale by its key, and submit."""
    n_shown = page.locator("input[name=picked]").count()
    for place in range(1, n_shown + 1):
        page.keyboard.press(str(place))
    expect(page.locator("input[name=picked]:checked")).to_have_count(n_shown)
    page.keyboard.press("Enter")
    expect(page.locator("[data-goes-on]")).to_be_visible()


def open_origins(demo: Demo, page: Page, round_id: int) -> None:
    """Ask who drew the texts of the item that was submitted; the page says it as it is stored."""
    page.keyboard.press("t")
    expect(page.locator("#came")).to_be_focused()
    offers = page.locator("fieldset:has(#came) .offer")
    told = {
        int(offer.get_attribute("data-candidate") or 0): offer.locator(".came__by").inner_text()
        for offer in offers.all()
    }
    with demo.database() as session:
        drawn = count_draws(session, round_id, list(told))
    for (candidate_id, strategy), n in drawn.items():
        assert f"{strategy.replace('_', ' ')} ({n})" in told[candidate_id].replace("_", " ").lower()


def mark_and_find_the_verdicts_stand(demo: Demo, page: Page, judgement_id: int) -> None:
    """What was opened can be marked, and changes no verdict any more, by whatever way."""
    given = verdicts_of(demo, judgement_id)
    assert all(given.values())
    trace = page.locator(".trace", has=page.locator(".marking")).first
    trace.locator("summary").first.click()
    trace.locator(".marking__value").first.click()
    expect(page.locator("#saved")).to_contain_text("Saved")
    with demo.database() as session:
        assert session.scalars(select(TurnMark)).one().judgement_id == judgement_id
    page.keyboard.press("u")
    expect(page.locator("#answer[data-editable=yes]")).to_have_count(0)
    url = f"{demo.site.web.url}/judgements/{judgement_id}"
    with demo.database() as session:
        version = session.get_one(Judgement, judgement_id).version
    other = {"version": str(version), "active_ms": "0", "none_fits": "true", "reason": "dark"}
    for act in ("submit", "draft", "take-back", "skip"):
        refused = ask(page, f"{url}/{act}", other)
        assert refused.status == 409, (act, refused.text())
    assert ask(page, f"{url}/marks", other).ok, "of which only what is said of turns is taken"
    assert verdicts_of(demo, judgement_id) == given


def look_at(page: Page, url: str) -> set[Got]:
    """Returns what one page brings."""
    recording = Recording(page)
    recording.go(url)
    return recording.got


def verdicts_of(demo: Demo, judgement_id: int) -> dict[int, bool]:
    """Returns the verdicts of a judgement, by candidate."""
    with demo.database() as session:
        rows = session.scalars(select(VerdictRow).where(VerdictRow.judgement_id == judgement_id))
        return {row.candidate_id: row.fits for row in rows}
