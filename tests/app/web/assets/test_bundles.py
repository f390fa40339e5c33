"""Bundles are whole and in order: scripts without names that are taken twice, styles in layers."""

import re
from collections import Counter

import pytest
from starlette.testclient import TestClient

from app.kit.resources import STATIC
from app.web.assets.bundles import BUNDLES, read_static
from app.web.render.templating import static_url

DEFINED = re.compile(r"^(?:async )?(?:const|let|class|function) (\{[^}]*\}|\w+)", re.MULTILINE)


SCRIPTS = [name for name in BUNDLES if name.endswith(".js")]
STYLES = [name for name in BUNDLES if name.endswith(".css")]
LONGEST = 200


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_bundle_holds_its_parts_and_no_name_twice(name: str) -> None:
    text = read_static(name).decode()
    assert not re.search(r"^(import|export)\b", text, re.MULTILINE)
    counts = Counter(DEFINED.findall(text))
    assert len(counts) > len(BUNDLES[name])
    assert {found for found, n in counts.items() if n > 1} == set()


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_a_part_imports_stands_before_it(name: str) -> None:
    seen: set[str] = set()
    for part in BUNDLES[name]:
        text = (STATIC / part).read_text(encoding="utf-8")
        folder = (STATIC / part).parent
        for target in re.findall(r'from "(\./[^"]+)"', text):
            imported = (folder / target).resolve().relative_to(STATIC.resolve()).as_posix()
            assert imported in seen, f"{part} imports {imported}"
        seen.add(part)


def test_every_part_is_in_the_bundle_of_a_page() -> None:
    parts = {f"judge/{path.name}" for path in (STATIC / "judge").glob("*.js")}
    own = ("practice", "adjudicate", "questions")
    others = {f"judge/{name}.js" for name in own}
    assert parts - others == set(BUNDLES["judge.bundle.js"])
    assert others < {part for name in own for part in BUNDLES[f"{name}.bundle.js"]} <= parts


def test_the_address_of_a_bundle_is_its_content() -> None:
    address = static_url("judge.bundle.js")
    assert re.fullmatch(r"/static/judge\.bundle\.js\?v=[0-9a-f]{12}", address)


def test_every_style_is_in_one_bundle() -> None:
    parts = [part for name in STYLES for part in BUNDLES[name]]
    found = [path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*.css")]
    assert sorted(parts) == sorted(found)


def test_every_style_is_short_and_in_a_layer_that_has_a_place() -> None:
    text = (STATIC / "css/layers.css").read_text(encoding="utf-8")
    (order,) = re.findall(r"^@layer ([\w, ]+);$", text, re.MULTILINE)
    layers = []
    for part in [part for name in STYLES for part in BUNDLES[name]][1:]:
        style = (STATIC / part).read_text(encoding="utf-8")
        assert len(style.splitlines()) <= LONGEST, part
        # Nothing stands outside its layer, where it would win over all of them.
        outside = re.sub(r"^ .*\n|^\n", "", re.sub(r"/\*.*?\*/", "", style, flags=re.S), flags=re.M)
        (layer,) = re.findall(r"\A@layer (\w+) \{\n\}\n\Z", outside)
        layers.append(layer)
    assert list(dict.fromkeys(layers)) == order.split(", ")


@pytest.mark.parametrize("name", ["app.css", "judge.css", "practice.css"])
def test_a_style_is_loaded_as_one_file(client: TestClient, name: str) -> None:
    response = client.get(static_url(name))
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    assert "immutable" in response.headers["Cache-Control"]
    assert response.text.count("@layer") >= len(BUNDLES[name])


@pytest.mark.parametrize("name", sorted(BUNDLES))
def test_a_bundle_that_is_asked_for_again_is_not_sent_again(client: TestClient, name: str) -> None:
    first = client.get(f"/static/{name}")
    assert first.headers["Cache-Control"] == "no-cache"
    again = client.get(f"/static/{name}", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get(f"/static/{name}", headers={"If-None-Match": '"another"'})
    assert (other.status_code, other.content) == (200, first.content)


@pytest.mark.parametrize("name", sorted(BUNDLES))
def test_a_bundle_takes_nothing(client: TestClient, name: str) -> None:
    assert client.post(f"/static/{name}").status_code == 405
