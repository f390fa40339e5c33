"""Served below a path of a host: every address stays below it, however a proxy hands requests on.

The crawl over all pages is in test_crawler.py, a real proxy and browser in tests/browser.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.routing import Mount
from starlette.testclient import TestClient

import app
from app.kit.public_url import OWN_NAMES
from app.kit.resources import STATIC, TEMPLATES
from app.main import ROUTES, create_app
from app.services.accounts.accounts import make_sign_in_link
from app.web.access.deps import get_session
from app.web.assets.addresses import address, written_address
from app.web.assets.image_urls import srcset
from app.web.render.markdown import render_markdown
from tests.support.browsing import HTMX, one, text_of
from tests.support.factories import make_project, make_user

APP = Path(app.__file__).parent
SCRIPTS = sorted(file for file in STATIC.rglob("*.js") if "vendor" not in file.parts)
PAGES = sorted(TEMPLATES.rglob("*.html"))
OPENED = {"Sec-Fetch-Mode": "navigate"}


@pytest.fixture
def browser(client: TestClient, below_path: Callable[[str], None]) -> Iterator[TestClient]:
    """A browser at an installation below /illume; a proxy that passes the path on is no other."""
    below_path("http://testserver/illume")
    below = create_app()
    below.dependency_overrides[get_session] = client.app.dependency_overrides[get_session]  # type: ignore[attr-defined]
    with TestClient(below, follow_redirects=False) as browser:
        yield browser


def sign_in(browser: TestClient, session: Session, *, is_admin: bool = False) -> None:
    link = make_sign_in_link(session, make_user(session, is_admin=is_admin))
    session.commit()
    assert browser.get(f"/illume{link}", headers=OPENED).status_code == 303


# --- Addresses ------------------------------------------------------------------------------


def test_without_a_path_addresses_are_as_they_were() -> None:
    assert address("/projects?archived=true") == "/projects?archived=true"
    assert srcset("p", "ab", 700).startswith("/projects/p/images/ab?w=640&")
    assert written_address("/projects/p") == "/projects/p"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/", "/illume/"),
        ("/projects?archived=true", "/illume/projects?archived=true"),
        ("/illume/projects", "/illume/projects"),  # an address already
        ("/illume?x=1", "/illume?x=1"),
        ("/illumes", "/illume/illumes"),
    ],
)
def test_below_a_path_addresses_begin_with_it(
    below_path: Callable[[str], None], path: str, found: str
) -> None:
    below_path("https://example.org/illume/")
    assert address(path) == found


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("/projects/p/guidelines", "/illume/projects/p/guidelines"),
        ("/illume/projects/p", "/illume/projects/p"),
        ("/wiki/rationales", "/wiki/rationales"),  # the host's own
        ("/", "/"),
        ("https://example.org/projects/p", "https://example.org/projects/p"),
        ("//example.org/projects/p", "//example.org/projects/p"),
        ("#examples", "#examples"),
    ],
)
def test_links_in_guidelines_lead_to_our_pages_below_the_path(
    below_path: Callable[[str], None], written: str, found: str
) -> None:
    text = f"See [there]({written})."
    assert f'href="{written}"' in render_markdown(text)
    below_path("https://example.org/illume")
    assert f'href="{found}"' in render_markdown(text)


def test_no_path_before_ours_can_be_taken_for_one_of_ours() -> None:
    """Its first name would be: a request could not say whether a proxy took the path away."""
    paths = {
        route.path
        for module in ROUTES
        for route in module.router.routes
        if isinstance(route, APIRoute)
    }
    assert len(paths) > 50
    paths |= {route.path for route in create_app().routes if isinstance(route, Mount)}
    assert {path.split("/")[1] for path in paths} - {""} == OWN_NAMES


# --- Requests -------------------------------------------------------------------------------


@pytest.mark.parametrize("before", ["/illume", ""], ids=["passed on", "stripped"])
def test_a_person_signs_in_below_the_path(
    browser: TestClient, session: Session, before: str
) -> None:
    user = make_user(session)
    link = make_sign_in_link(session, user, next_path="/account")
    session.commit()
    looked_at = browser.get(before + link)  # by a program: the form stands where the link does
    assert one(looked_at, "main form")["action"] == f"/illume{link}"
    opened = browser.get(before + link, headers=OPENED)
    assert opened.headers["Location"] == "/illume/account"
    cookies = opened.headers.get_list("Set-Cookie")
    assert cookies
    assert all("; Path=/illume;" in f"{cookie};" for cookie in cookies)


@pytest.mark.parametrize("path", ["/illume", "/illume/", "/"])
def test_the_start_page_sends_strangers_to_sign_in_and_back(browser: TestClient, path: str) -> None:
    answer = browser.get(path)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/illume/sign-in?next=/")
    asked = browser.get("/illume/sign-in?next=/projects%3Farchived%3Dtrue")
    assert one(asked, "main input[name=next]")["value"] == "/projects?archived=true"


@pytest.mark.parametrize("headers", [{"HX-Current-URL": "http://testserver/illume/mine?x=1"}, {}])
def test_a_lost_session_comes_back_to_the_page_that_was_shown(
    browser: TestClient, headers: dict[str, str]
) -> None:
    answer = browser.get("/illume/mine?x=1", headers={**HTMX, **headers} if headers else {})
    told = answer.headers["HX-Redirect" if headers else "Location"]
    assert told == "/illume/sign-in?next=/mine%3Fx%3D1"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("/mine", "/illume/mine"),
        ("/illume/mine", "/illume/mine"),
        ("/../mine", "/illume/"),
        ("/mine/%2e%2E/../wiki", "/illume/"),
        ("//example.org", "/illume/"),
    ],
)
def test_the_next_page_is_one_below_the_path(
    browser: TestClient, session: Session, wanted: str, found: str
) -> None:
    sign_in(browser, session)
    answer = browser.post("/illume/theme", data={"theme": "dark", "next": wanted})
    assert answer.headers["Location"] == found
    assert "Path=/illume" in answer.headers["Set-Cookie"]
    answer = browser.post("/illume/theme", data={"theme": "dark", "next": wanted}, headers=HTMX)
    assert answer.headers["HX-Redirect"] == found


@pytest.mark.parametrize("path", ["/wiki", "/illumes/projects", "/illume/illume/sign-in"])
def test_other_addresses_of_the_host_are_not_found(browser: TestClient, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 404
    assert text_of(answer, "h1") == "Not found"
    assert one(answer, "main .actions a")["href"] == "/illume/"
    assert one(answer, "html")["data-site-path"] == "/illume"


@pytest.mark.parametrize("path", ["/illume/projects/", "/projects/"])
@pytest.mark.parametrize("host", ["testserver", "127.0.0.1:8000"])
def test_a_slash_too_many_is_left_out_below_the_path(
    browser: TestClient, path: str, host: str
) -> None:
    """Whatever name the proxy has for the server."""
    answer = browser.get(f"{path}?archived=true", headers={"Host": host})
    assert answer.status_code == 307
    assert answer.headers["Location"] == "/illume/projects?archived=true"


@pytest.mark.parametrize("before", ["/illume", ""])
def test_probes_find_their_addresses(browser: TestClient, before: str) -> None:
    assert browser.get(f"{before}/health/live").status_code == 200
    assert browser.get(f"{before}/favicon.ico").headers["Location"].startswith("/illume/static/")


def test_a_refused_origin_is_told_where_the_site_is(browser: TestClient) -> None:
    origin = {"Origin": "https://elsewhere.example"}
    answer = browser.post("/illume/theme", data={"theme": "dark"}, headers=origin)
    assert answer.status_code == 403
    assert "http://testserver/illume" in text_of(answer, ".lede")


def test_links_to_copy_are_full_addresses_below_the_path(
    browser: TestClient, session: Session
) -> None:
    sign_in(browser, session, is_admin=True)
    project = make_project(session)
    session.commit()
    form = {"role": "annotator", "max_uses": "1", "days": "1"}
    made = browser.post(f"/illume/projects/{project.slug}/invites", data=form)
    assert "http://testserver/illume/join/" in text_of(made, ".copy code")


def test_of_two_cookies_of_one_name_the_nearer_counts(browser: TestClient) -> None:
    """Another installation at the root of the host has a colour too; browsers send it last."""
    answer = browser.get("/illume/sign-in", headers={"Cookie": "theme=dark; tz=UTC; theme=light"})
    assert one(answer, "html")["data-theme"] == "dark"


# --- Only one place makes addresses -----------------------------------------------------------

ATTRIBUTE = re.compile(
    r"""(?<![\w-])(href|src|srcset|action|formaction|poster|hx-(?:get|post|put|patch|delete)|data-ready)="([^"]*)"""
)
MADE = re.compile(
    r"#|\?|https?://|\{\{ (address|static_url|image_url)\("
    r"|\{\{ (\w+\.(full_)?image_(url|srcset)|sizes) \}\}"  # made by image_url and srcset
)


@pytest.mark.parametrize("file", PAGES, ids=[str(file.relative_to(TEMPLATES)) for file in PAGES])
def test_templates_make_addresses_by_address(file: Path) -> None:
    text = re.sub(r"\{#.*?#\}", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    # A sentence gets its address as a part.
    parts = set(re.findall(r"\{% trans [^%]*?(\w+)=address\(", text))
    glued = [
        found[0]
        for found in ATTRIBUTE.finditer(text)
        if not MADE.match(found[2]) and not any(found[2] == f"{{{{ {part} }}}}" for part in parts)
    ]
    assert glued == []


@pytest.mark.parametrize("file", SCRIPTS, ids=[file.name for file in SCRIPTS])
def test_scripts_make_addresses_by_address(file: Path) -> None:
    text = re.sub(r"^\s*(//|\*|/\*).*$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    glued = [
        text.count("\n", 0, found.start()) + 1
        for found in re.finditer(r"""["'`]/(?!["'`])""", text)
        if not text[: found.start()].endswith("address(")
    ]
    assert glued == []


@pytest.mark.parametrize("file", SCRIPTS, ids=[file.name for file in SCRIPTS])
def test_scripts_name_what_browsers_keep_by_stored_name(file: Path) -> None:
    """A browser has one storage for all sites of a host."""
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"""["'`]illume\.""", text)
    for named in re.findall(r"Storage\.(?:get|set|remove)Item\(([\w.]+\()", text):
        assert named == "storedName("


def test_styles_name_no_address_from_the_root() -> None:
    for file in STATIC.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?/", file.read_text(encoding="utf-8"))


def test_only_addresses_reads_the_path_of_a_request() -> None:
    """Others would compare a path of the host with one of ours: `own_path` leaves the rest out."""
    known = {"addresses.py", "middleware.py", "prefix.py"}
    reads = re.compile(r"url\.path\b|scope\[\"path\"\]")
    files = [file for folder in ("web", "routes") for file in (APP / folder).rglob("*.py")]
    assert len(files) > 50
    found = {file.name for file in (*files, *PAGES) if reads.search(file.read_text("utf-8"))}
    assert found <= known
