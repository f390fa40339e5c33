"""A real Chromium on a real server. Nothing that the browser complains about is let pass."""

import io
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from PIL import Image as PillowImage
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from app.embedded import EmbeddedServices
from app.kit import storage
from app.kit.db import get_engine, session_scope
from app.models import Image, Project, Round
from app.round_settings import LoopSettings
from app.services.accounts.accounts import make_sign_in_link
from tests.support.factories import (
    make_image,
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_user,
)
from tests.support.processes import wait_for
from tests.support.serving import WebServer

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP = (1280, 900)
PHONE = (360, 740)

TEXTS = (
    "the thing in the top left is a red ball",
    "there is a ball",
    "we see a red ball, and nothing else in the picture is red",
    "i see a ball of rubber in the bottom right",
    "the picture shows a red thing",
    "the ball is red because balls are mostly red, and this one lies in the top left corner",
    "it is the only red thing",
    "the answer is red",
)


@dataclass
class Site:
    """A project with an open round, and who works in it."""

    web: WebServer
    round_id: int
    project_id: int

    def link(self, name: str, *, is_admin: bool = False) -> str:
        """A one-time link that signs a new member in."""
        with session_scope() as session:
            user = make_user(session, name=name, is_admin=is_admin)
            make_membership(session, session.get_one(Project, self.project_id), user)
            return self.web.url + make_sign_in_link(session, user)

    def judge_url(self) -> str:
        return f"{self.web.url}/rounds/{self.round_id}/judge"


def stored_picture(session: Session, number: int, size: tuple[int, int] = (480, 360)) -> Image:
    """A picture that people could be asked about, in the store and in the table."""
    picture = PillowImage.new("RGB", size, (230, 232, 236))
    picture.paste((200, 40 + number * 10, 40), (60, 60, 200 + number, 200))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    content = buffer.getvalue()
    storage.put_image(content, "image/png")
    image = make_image(session, content=content)
    image.width, image.height = picture.size
    return image


def add_items(
    session: Session,
    round_id: int,
    numbers: range,
    *,
    size: tuple[int, int] = (480, 360),
    priority: int = 0,
) -> None:
    """More items for a round, each with an image of this size."""
    round_ = session.get_one(Round, round_id)
    site_project = session.get_one(Project, round_.project_id)
    for number in numbers:
        item = make_item(
            session,
            site_project,
            image=stored_picture(session, number, size),
            question=f"what color is thing number {number} in this picture?",
        )
        make_round_item(session, round_, item, texts=TEXTS, slots=2).priority = priority


@pytest.fixture(scope="session")
def web(
    services: EmbeddedServices, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebServer]:
    log = tmp_path_factory.mktemp("web") / "web.log"
    server = WebServer(log)
    server.start()
    yield server
    server.stop()
    assert "Traceback" not in log.read_text(encoding="utf-8")


@pytest.fixture
def site(web: WebServer, database: sessionmaker[Session]) -> Iterator[Site]:
    with session_scope() as session:
        project = make_project(session, name="Things in boxes")
        project.guidelines = "# What to pick\n\nPick what is **true** and *justifies* the answer."
        round_ = make_round(session, project, settings=LoopSettings(auto_advance=False))
        add_items(session, round_.id, range(6))
        ids = round_.id, project.id
    yield Site(web, *ids)
    # A request that a closed page has left behind would meet the emptying of the tables.
    for _ in range(2):
        time.sleep(0.05)
        wait_for(is_server_idle)


def is_server_idle() -> bool:
    with get_engine().connect() as connection:
        busy = connection.execute(
            text(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND state <> 'idle'"
            )
        ).scalar_one()
    return busy == 0


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Closed before the tests of other packages: Playwright keeps an event loop in this thread, and
    code that runs one of its own cannot be tested beside it."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("NO CHROMIUM FOUND: the pages were not tried in a browser")
    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


NewContext = Callable[..., BrowserContext]


@pytest.fixture
def new_context(chromium: Browser) -> Iterator[NewContext]:
    """Opens browser windows; at the end, fails on errors of scripts and of the content policy."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        # Refused and failed requests are part of some tests; the pages answer them.
        if message.type == "error" and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    def open_context(
        size: tuple[int, int] = DESKTOP,
        *,
        scheme: str = "light",
        javascript: bool = True,
        touch: bool = False,
    ) -> BrowserContext:
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if scheme == "dark" else "light",
            java_script_enabled=javascript,
            has_touch=touch,
            is_mobile=touch,
            reduced_motion="reduce",
        )
        context.set_default_timeout(10_000)
        context.on("console", hear)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        contexts.append(context)
        return context

    yield open_context
    for context in contexts:
        context.close()
    assert not complaints


@pytest.fixture
def noor(site: Site, new_context: NewContext) -> Page:
    """An annotator at her first item, with the guidelines read and closed."""
    page = new_context().new_page()
    page.goto(site.link("Noor"))
    page.goto(site.judge_url())
    page.keyboard.press("g")
    return page
