"""Pictures of the pages of a large round: wide and narrow, light and dark.

Round 2 is shown while it is judged and again once it is over; between the two its judging is
closed, and a release is made before and after.
"""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from app.kit.errors import AppError
from benchmarks.support.cells import Config
from benchmarks.support.judging_cell import web_processes
from benchmarks.support.large_round.cell import FilledRound, filled_round, post, wait_for
from benchmarks.support.large_round.dress import dress, end_round
from benchmarks.support.light_worker import ask, start_light_worker

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SIZES = ((1280, 900), (390, 844))
SCHEMES = ("light", "dark")
LONGEST_RELEASE_SECONDS = 3600.0

SHOW_ALL = "document.querySelectorAll('img').forEach((one) => { one.loading = 'eager'; })"

OPEN_PAGES = {
    "round": "/rounds/{round}",
    "closing": "/rounds/{round}/close",
    "cancelling": "/rounds/{round}/cancel",
    "policies": "/rounds/{round}/policies",
    "policies-differ": "/rounds/{round}/policies?one=majority&other=unanimous",
    "adjudication": "/rounds/{round}/adjudication",
    "decided": "/rounds/{round}/adjudication/decided",
    "map": "/rounds/{round}/map",
    "map-zoomed": "/rounds/{round}/map?split=train&first=2501&last=5000",
    "map-items": "/rounds/{round}/map?split=train&first=2501&last=2540",
    "project": "/projects/scenes",
    "items": "/projects/scenes/items",
    "item": "/items/{item}",
    "checks": "/projects/scenes/checks",
    "check": "/projects/scenes/checks/{check}",
    "check-new": "/projects/scenes/checks/new?item=item-7",
    "check-person": "/projects/scenes/checks/people/{person}",
    "people": "/projects/scenes/people",
    "person": "/projects/scenes/people/{person}",
    "releases": "/projects/scenes/releases",
    "guidelines": "/projects/scenes/guidelines",
    "mine": "/rounds/{round}/mine",
    "your-work": "/mine",
    "playground": "/projects/scenes/playground",
    "tried": "/projects/scenes/playground/{tried}",
    "home": "/",
}
"""While round 2 is judged."""
DECIDED_PAGES = {
    "round-decided": "/rounds/{round}",
    "round-first": "/rounds/{before}",
    "map-decided": "/rounds/{round}/map",
    "compare": "/projects/scenes/side-by-side?before=1&after=2",
    "changed": "/projects/scenes/side-by-side/items?before=1&after=2",
    "changed-regressed": "/projects/scenes/side-by-side/items?before=1&after=2&change=regressed",
    "project-decided": "/projects/scenes",
    "people-decided": "/projects/scenes/people",
    "releases-two": "/projects/scenes/releases",
    "release": "/releases/{release}",
    "release-changes": "/releases/{release}/changes",
}
"""Once it is over."""


def take_pictures(config: Config, folder: Path) -> Sequence[Path]:
    """Fills a round as the benchmark does, and puts a PNG of each page into a folder; returns all
    that lie there. Raises AppError where there is no Chromium.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise AppError("There is no Chromium on PATH to take pictures with. Install one.")
    folder.mkdir(parents=True, exist_ok=True)
    with filled_round(config) as filled, ExitStack() as stack:
        dress(config, filled)
        port, _ = stack.enter_context(web_processes(1, filled.home / "web.log"))
        workers = start_light_worker(filled.home, stack)
        admin = filled.cookie
        for round_id in sorted({filled.round_id, _before()}, reverse=True):
            asyncio.run(post(port, admin, f"/rounds/{round_id}/evidence"))
            wait_for("assess", workers.log)
        asyncio.run(post(port, admin, "/projects/scenes/releases"))
        wait_for("release", workers.log, LONGEST_RELEASE_SECONDS)
        _visit(filled, browser, port, folder, OPEN_PAGES)
        asyncio.run(post(port, admin, f"/rounds/{filled.round_id}/close"))
        wait_for("close", workers.log)
        end_round(filled.round_id)
        asyncio.run(post(port, admin, "/projects/scenes/releases"))
        wait_for("release", workers.log, LONGEST_RELEASE_SECONDS)
        _visit(filled, browser, port, folder, DECIDED_PAGES)
    return sorted(folder.glob("*.png"))


def _before() -> int:
    [[round_id]] = ask("SELECT id FROM round WHERE number = 1")
    return int(round_id)


_IDS = {
    "before": "SELECT id FROM round WHERE number = 1",
    "item": "SELECT item_id FROM round_item WHERE disputed <> '{}' ORDER BY id LIMIT 1",
    "check": "SELECT min(id) FROM check_item",
    "person": 'SELECT max(id) FROM "user"',
    "tried": "SELECT max(id) FROM run WHERE job = 'try'",
    "release": "SELECT max(id) FROM release",
}


def _visit(
    filled: FilledRound, browser: str, port: int, folder: Path, pages: Mapping[str, str]
) -> None:
    ids = {name: ask(statement)[0][0] for name, statement in _IDS.items()}
    addresses = {name: page.format(round=filled.round_id, **ids) for name, page in pages.items()}
    name, _, value = filled.cookie.partition("=")
    session = {"name": name, "value": value, "url": f"http://127.0.0.1:{port}"}
    asyncio.run(_photograph(browser, session, addresses, folder))


async def _photograph(
    browser: str, session: Mapping[str, str], addresses: Mapping[str, str], folder: Path
) -> None:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for width, height in SIZES:
            for scheme in SCHEMES:
                context = await chromium.new_context(
                    viewport={"width": width, "height": height},
                    color_scheme="dark" if scheme == "dark" else "light",
                    reduced_motion="reduce",
                )
                await context.add_cookies([session])  # type: ignore[list-item]
                page = await context.new_page()
                for name, address in addresses.items():
                    await page.goto(session["url"] + address)
                    await page.evaluate(
                        SHOW_ALL
                    )  # below the first screen they come when scrolled to
                    await page.wait_for_load_state("networkidle")
                    path = folder / f"{name}-{width}-{scheme}.png"
                    await page.screenshot(path=path, full_page=True)
                await context.close()
        await chromium.close()
