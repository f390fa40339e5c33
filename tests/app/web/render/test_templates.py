"""Rules that all templates keep, read from their text, and the rendering environment's own."""

import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from jinja2 import UndefinedError, nodes
from starlette.routing import BaseRoute, Match

from app.kit.resources import TEMPLATES
from app.main import create_app
from app.web.language.languages import speaking
from app.web.pages.judging.page import Controls
from app.web.render.templating import (
    ENUMS,
    ago,
    duration,
    file_size,
    make_environment,
    piece,
    piece_with_id,
    static_url,
    work_time,
)

FILES = sorted(TEMPLATES.rglob("*.html"))
NAMES = [str(file.relative_to(TEMPLATES)) for file in FILES]


def plain_html(file: Path) -> BeautifulSoup:
    """The template as HTML, so that addresses can be matched with routes: an expression becomes the
    first of the words it chooses from, or else 1."""
    text = re.sub(r"\{#.*?#\}", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = re.sub(r"\{%.*?%\}", "", text, flags=re.DOTALL)
    text = re.sub(r"\{\{ address\((.*?)\) \}\}", lambda found: plain_path(found[1]), text)
    text = re.sub(r'\{\{ "(\w[\w-]*)" if .*?\}\}', r"\1", text)
    return BeautifulSoup(re.sub(r"\{\{.*?\}\}", "1", text, flags=re.DOTALL), "html.parser")


def plain_path(expression: str) -> str:
    """The path that `address` is given: its texts, with 1 or the first choice for the others."""
    parts = [re.search(r'^\(?"([^"]*)"(?: if |$)', part) for part in expression.split(" ~ ")]
    return "".join(part[1] if part else "1" for part in parts)


def has_route(routes: list[BaseRoute], method: str, url: str) -> bool:
    path = url.partition("?")[0]
    scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}
    return any(route.matches(scope)[0] is Match.FULL for route in routes)


@pytest.fixture(scope="module")
def routes(services: object) -> list[BaseRoute]:
    return list(create_app().router.routes)


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_addresses_of_actions_exist(file: Path, routes: list[BaseRoute]) -> None:
    html = plain_html(file)
    for tag in html.select("[hx-get]"):
        assert has_route(routes, "GET", str(tag["hx-get"])), tag["hx-get"]
    for tag in html.select("[hx-post]"):
        assert has_route(routes, "POST", str(tag["hx-post"])), tag["hx-post"]
    for form in html.select("form[action]"):  # one without goes to the page's own address
        method = str(form.get("method", "get")).upper()
        assert has_route(routes, method, str(form["action"])), form["action"]


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_each_hx_post_stands_in_a_form_with_the_same_action(file: Path) -> None:
    for tag in plain_html(file).select("[hx-post]"):
        form = tag if tag.name == "form" else tag.find_parent("form")
        own = tag.get("formaction") or (form or {}).get("action")
        assert own == tag["hx-post"], f"{tag['hx-post']} has no form to fall back on"


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_nothing_is_inline_and_nothing_is_trusted(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "|safe" not in text.replace(" ", "")
    assert "{% autoescape" not in text
    html = plain_html(file)
    assert not html.select("[style], style, script:not([src])")
    handlers = [
        name for tag in html.select("*") for name in tag.attrs if re.match(r"on|hx-on", name)
    ]
    assert handlers == []


def test_no_attribute_holds_a_number_as_people_write_it() -> None:
    """A browser reads `1,060` as no number: groups are for texts."""
    written = re.compile(r"""(?:value|max|min|low|high|width|height)="\{\{[^}]*\|number\(""")
    assert [file.name for file in FILES if written.search(file.read_text("utf-8"))] == []


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_forms_and_images_are_plain(file: Path) -> None:
    """Forms say how they are sent, and images what they are."""
    html = plain_html(file)
    for form in html.select("form"):
        assert form.get("method") in {"get", "post"}
    for image in html.select("img"):
        assert image.has_attr("alt")


ENUM_FIELDS = {
    *("status", "job", "role", "split", "practice", "judge_kind", "decision", "purpose"),
    "round_item.state",
}
"""Fields of rows and page objects whose values are members of an enum."""


def compared_texts(file: Path) -> list[str]:
    """The comparisons of a template between such a field and a text: `run.status == "queued"`."""

    def path_of(node: nodes.Node) -> str:
        if isinstance(node, nodes.Getattr):
            return f"{path_of(node.node)}.{node.attr}"
        return node.name if isinstance(node, nodes.Name) else ""

    def is_field(node: nodes.Node) -> bool:
        return any(f".{path_of(node)}".endswith(f".{field}") for field in ENUM_FIELDS)

    def texts(node: nodes.Node) -> list[str]:
        found = [node, *node.find_all(nodes.Const)]
        return [const.value for const in found
                if isinstance(const, nodes.Const) and isinstance(const.value, str)]  # fmt: skip

    compared = []
    for node in make_environment().parse(file.read_text(encoding="utf-8")).find_all(nodes.Compare):
        sides = [node.expr, *(operand.expr for operand in node.ops)]
        if any(map(is_field, sides)):
            compared += [text for side in sides for text in texts(side)]
    return compared


def test_comparing_a_status_with_a_text_is_found(tmp_path: Path) -> None:
    file = tmp_path / "a.html"
    file.write_text("""{% if run.status == "queued" and a.round_item.state in ("open", "done") %}
        {{ x.status == RunStatus.QUEUED }}{{ step.state == "is-current" }}{% endif %}""")
    assert sorted(compared_texts(file)) == ["done", "open", "queued"]


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_templates_compare_with_members_of_enums_that_are_there(file: Path) -> None:
    assert compared_texts(file) == []
    enums = {enum.__name__: enum for enum in ENUMS}
    for node in make_environment().parse(file.read_text(encoding="utf-8")).find_all(nodes.Getattr):
        if isinstance(node.node, nodes.Name) and node.node.name in enums:
            assert node.attr in enums[node.node.name].__members__


def test_a_missing_name_is_an_error_not_an_empty_text() -> None:
    with pytest.raises(UndefinedError):
        make_environment().from_string("{{ nobody_set_this }}").render()


def test_what_people_write_is_escaped() -> None:
    rendered = make_environment().from_string("{{ text }}").render(text="<script>'\"&")
    assert rendered == "&lt;script&gt;&#39;&#34;&amp;"


def test_static_addresses_change_with_the_content() -> None:
    assert re.fullmatch(r"/static/app\.css\?v=[0-9a-f]{12}", static_url("app.css"))


def test_words_for_numbers() -> None:
    assert [duration(s) for s in (None, 0, 90, 600, 7200, 200_000)] == [
        "–", "0 s", "90 s", "10 min", "2 h", "2 d",
    ]  # fmt: skip
    assert [file_size(n) for n in (999, 1500, 2_400_000, 3_200_000_000)] == [
        "999 bytes", "2 KB", "2 MB", "3.2 GB",
    ]  # fmt: skip
    times = [work_time(minutes * 60_000) for minutes in (0.44, 59.9, 119, 120, 2_667)]
    assert [time.replace("\N{NO-BREAK SPACE}", " ") for time in times] == [
        "0.4 min", "60 min", "119 min", "2.0 h", "44 h",
    ]  # fmt: skip
    assert ago(None) == "never"


def test_a_piece_is_kept_for_each_language_and_for_each_of_its_values() -> None:
    with speaking("de"):
        german = piece("judge/_view_tools.html", zoom_key="<z>")
        assert piece("judge/_view_tools.html", zoom_key="<z>") is german
    english = piece("judge/_view_tools.html", zoom_key="<z>")
    assert "Kleiner" in german
    assert "Smaller" in english
    assert "&lt;z&gt;" in english
    assert "&lt;z&gt;" not in piece("judge/_view_tools.html", zoom_key="x")


def test_a_piece_with_an_id_says_that_of_its_own_candidate() -> None:
    controls = Controls(keys=(), hints={"mend": "e"}, faults={"unclear": "Unclear <1>"})
    untouched = {"place": 1, "faults": (), "edit": "", "is_too_long": False, "max_edit": 500}
    for candidate_id in (11, 12):
        html = piece_with_id("judge/_mend.html", candidate_id, controls=controls, **untouched)
        assert f'value="{candidate_id}:unclear"' in html
        assert f'<label for="edit-{candidate_id}">' in html
        assert "Unclear &lt;1&gt;" in html
