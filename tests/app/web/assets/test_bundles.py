"""The judging script as one file: whole, in order, and without names that are taken twice."""

import re
from collections import Counter

import pytest

from app.kit.resources import STATIC
from app.web.assets.bundles import BUNDLES, read_static
from app.web.render.templating import static_url

DEFINED = re.compile(r"^(?:async )?(?:const|let|class|function) (\{[^}]*\}|\w+)", re.MULTILINE)


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_holds_its_parts_and_no_name_twice(name: str) -> None:
    text = read_static(name).decode()
    assert not re.search(r"^(import|export)\b", text, re.MULTILINE)
    counts = Counter(DEFINED.findall(text))
    assert len(counts) > len(BUNDLES[name])
    assert {found for found, n in counts.items() if n > 1} == set()


@pytest.mark.parametrize("name", BUNDLES)
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
    assert parts - {"judge/practice.js"} == set(BUNDLES["judge.bundle.js"])
    assert set(BUNDLES["practice.bundle.js"]) <= parts


def test_the_address_of_a_bundle_is_its_content() -> None:
    address = static_url("judge.bundle.js")
    assert re.fullmatch(r"/static/judge\.bundle\.js\?v=[0-9a-f]{12}", address)
