"""Follows every link of the site and sends every form that a person can see."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from html import unescape
from urllib.parse import parse_qsl, quote_from_bytes, urljoin, urlsplit

from bs4 import BeautifulSoup, Tag
from httpx2 import Response
from sqlalchemy.orm import Session
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from app.main import create_app
from app.models import User
from app.services.accounts.accounts import make_sign_in_link
from tests.support.browsing import HTMX

ORIGIN = "http://testserver"
# Pages that differ by a number only are many of a kind; so many of each are looked at.
MANY = 4
LONGEST_QUERY = 8_000
SENTENCE = re.compile(r"\w+ \w+ [^.!?]*\w[.!?:]")
MAIN = re.compile(r"<main\b.*</main>", re.DOTALL)
UNSEEN = r"<!--.*?-->|<(script|style|template)\b.*?</\1>"
TAG = r"""<(?:"[^"]*"|'[^']*'|[^'">])*>"""
NOT_TEXT = re.compile(f"{UNSEEN}|{TAG}", re.DOTALL)
LINKS = (
    ("a[href]", "href"),
    ("link[href]", "href"),
    ("img[src]", "src"),
    ("script[src]", "src"),
    ("[hx-get]", "hx-get"),
)


@dataclass(frozen=True)
class Form:
    """A form as a page shows it: where it goes and what it would send."""

    page: str
    method: str
    action: str
    fields: tuple[tuple[str, str], ...]
    written: frozenset[str]
    """Names of the fields that a person writes into; the others are given."""

    @property
    def shape(self) -> tuple[str, str, frozenset[str]]:
        return self.method, shape_of(self.action), frozenset(name for name, _ in self.fields)


class OneSiteOfTheHost:
    """A proxy that hands on what is asked for below a path, and answers the rest by itself.

    `strips` is whether it takes the path away on the way, as some do and others do not.
    """

    def __init__(self, app: ASGIApp, site_path: str, *, strips: bool) -> None:
        self.app, self.site_path, self.strips = app, site_path, strips

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            if not path.startswith(f"{self.site_path}/"):
                await PlainTextResponse("Another site.", 404)(scope, receive, send)
                return
            if self.strips:
                scope = {**scope, "path": path.removeprefix(self.site_path)}
        await self.app(scope, receive, send)


@dataclass
class Seen:
    """What a crawl came by."""

    pages: list[str] = field(default_factory=list)
    links: set[str] = field(default_factory=set)
    forms: dict[tuple[str, str, frozenset[str]], Form] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class Crawler:
    """One person's browser without a script, or nobody's."""

    def __init__(
        self,
        make_session: Callable[[], Session],
        user_id: int | None,
        language: str,
        *,
        proxy: Callable[[ASGIApp], ASGIApp] = lambda app: app,
        site_path: str = "",
    ) -> None:
        """`proxy` stands before the application, which is found below `site_path`."""
        self.site = f"{ORIGIN}{site_path}/"
        self._site_path = site_path
        self.browser = TestClient(
            proxy(create_app()),
            base_url=ORIGIN,
            headers={"Accept-Language": language, "Accept": "text/html"},
            follow_redirects=False,
            raise_server_exceptions=False,
        )
        self._make_session = make_session
        self._user_id = user_id
        self.seen = Seen()
        self.sign_in()

    def sign_in(self) -> None:
        """Begin a new session, as forms such as *Sign out* end one."""
        if self._user_id is None:
            return
        self.browser.cookies.clear()
        with self._make_session() as session:
            user = session.get_one(User, self._user_id)
            user.disabled_at = None
            link = make_sign_in_link(session, user)
            session.commit()
        opened = {"Sec-Fetch-Mode": "navigate"}
        response = self.browser.get(self._site_path + link, headers=opened)
        assert response.status_code == 303

    def follow_links(self) -> None:
        """Get every page that can be reached from the start page; each link must lead somewhere."""
        waiting = [f"{self._site_path}/"]
        kinds: Counter[str] = Counter()
        while waiting:
            url = waiting.pop(0)
            if url in self.seen.links or kinds[shape_of(url)] >= MANY:
                continue
            self.seen.links.add(url)
            kinds[shape_of(url)] += 1
            response = self.get(url)
            waiting += self._look_at(url, response)

    def get(self, url: str) -> Response:
        response = self.browser.get(url)
        self.note("GET", url, response)
        if response.is_redirect:
            target = urljoin(ORIGIN + url, response.headers["Location"])
            if not target.startswith(self.site):
                self.seen.faults.append(f"{url} leads away, to {target}")
        elif response.status_code != 200:
            self.seen.faults.append(f"GET {url} is {response.status_code}")
        return response

    def _look_at(self, url: str, response: Response) -> Iterator[str]:
        """Note the forms of a page; what it links to is looked at next."""
        if response.is_redirect:
            yield path_of(urljoin(ORIGIN + url, response.headers["Location"]))
        if "text/html" not in response.headers.get("Content-Type", ""):
            return
        self.seen.pages.append(url)
        soup = BeautifulSoup(response.text, "html.parser")
        self.seen.faults += [
            f"{url} names {found}, which is not of this site"
            for found in named_addresses(soup)
            if not f"{ORIGIN}{found}".startswith(self.site)
        ]
        for form in read_forms(url, soup):
            self.seen.forms.setdefault(form.shape, form)
        for selector, attribute in LINKS:
            for element in soup.select(selector):
                target = urljoin(ORIGIN + url, str(element[attribute]))
                if target.startswith(self.site):
                    yield path_of(target)

    # --- Forms --------------------------------------------------------------------------------

    def send(self, form: Form, fields: Sequence[tuple[str, str]], *, script: bool) -> Response:
        """Send a form with these fields, as a browser without or with a script does."""
        headers = {"Origin": ORIGIN, "Referer": ORIGIN + form.page, **(HTMX if script else {})}
        body = encode(fields)
        if form.method == "get":
            bare = form.action.partition("?")[0]
            # No browser, and no server before ours, takes longer addresses.
            response = self.browser.get(f"{bare}?{body[:LONGEST_QUERY]}", headers=headers)
        else:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            response = self.browser.post(form.action, content=body, headers=headers)
        self.note(form.method.upper(), f"{form.action} {body[:60]}", response)
        for header in ("Location", "HX-Redirect"):
            target = urljoin(ORIGIN + form.action, response.headers.get(header, form.action))
            if not target.startswith(self.site):
                self.seen.faults.append(f"{form.action} leads away, to {target}")
        if response.status_code >= 400:
            self._expect_a_sentence(form, response)
        if "/sign-in" in response.headers.get("Location", "") or response.status_code == 401:
            self.sign_in()
        return response

    def _expect_a_sentence(self, form: Form, response: Response) -> None:
        if says_something_in_main(response.text):
            return
        soup = BeautifulSoup(response.text, "html.parser")
        shown = soup.select("main, [role=alert], .lede, .notice, .field__error") or [soup]
        said = " ".join(part.get_text(" ") for part in shown)
        if not SENTENCE.search(said):
            self.seen.faults.append(
                f"{form.method} {form.action} is {response.status_code} without a sentence: {said}"
            )

    def note(self, method: str, url: str, response: Response) -> None:
        self.seen.statuses[response.status_code] += 1
        if response.status_code >= 500:
            self.seen.faults.append(f"{method} {url} is {response.status_code}")


def says_something_in_main(page: str) -> bool:
    """Whether there is a sentence in the main part of a page: a quick look without a parser.

    Over a thousand refusals are read here, and parsing takes longer than answering.
    """
    main = MAIN.search(page)
    return main is not None and bool(SENTENCE.search(unescape(NOT_TEXT.sub(" ", main[0]))))


def named_addresses(soup: BeautifulSoup) -> Iterator[str]:
    """Every address that a page gives from the root of its host, whatever it is for."""
    for element in soup.select("*"):
        for name, value in element.attrs.items():
            # What is sent back to us is a path of ours; scripts put the other before theirs.
            if name in {"value", "data-site-path"}:
                continue
            yield from (part for part in str(value).split(", ") if part.startswith("/"))


def read_forms(url: str, soup: BeautifulSoup) -> Iterator[Form]:
    for element in soup.select("form"):
        fields, written = [], set()
        inside = element.select("input, select, textarea, button")
        form_id = element.get("id")
        if form_id:
            inside += soup.select(f'[form="{form_id}"]')
        for control in inside:
            name = str(control.get("name", ""))
            kind = str(control.get("type", control.name))
            if not name or kind == "file":
                continue
            fields.append((name, _value_of(control)))
            if kind in {"text", "search", "number", "password", "textarea", "url", "hidden"}:
                written.add(name)
        action = path_of(urljoin(ORIGIN + url, str(element.get("action") or url)))
        method = str(element.get("method", "get")).lower()
        yield Form(url, method, action, tuple(fields), frozenset(written))


def _value_of(control: Tag) -> str:
    if control.name == "select":
        chosen = control.select_one("option[selected]") or control.select_one("option")
        return str(chosen.get("value", chosen.text)) if chosen else ""
    if control.name == "textarea":
        return control.text
    return str(control.get("value", ""))


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def shape_of(url: str) -> str:
    """The address without what differs between pages of a kind: numbers, digests, secrets."""
    parts = urlsplit(url)
    path = re.sub(r"/(?:\d+|[0-9a-f]{64}|[\w-]{40,})(?=/|$)", "/…", parts.path)
    path = re.sub(r"(?<=/projects/)(?!new)[\w-]+", "…", path)
    names = sorted({name for name, _ in parse_qsl(parts.query, keep_blank_values=True)})
    return f"{path}?{'&'.join(names)}"


def encode(fields: Sequence[tuple[str, str]]) -> str:
    """As browsers encode forms; lone surrogates, which no browser sends, as the bytes they are."""
    return "&".join(f"{_quote(name)}={_quote(value)}" for name, value in fields)


@lru_cache
def _quote(text: str) -> str:
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"))
