"""Scripts without a browser: each can be read, and those without a page do what they should.

Playwright, which the browser tests need anyway, brings the Node that runs them.
"""

import subprocess
from pathlib import Path

import playwright
import pytest

from app.kit.resources import STATIC
from app.web.assets.bundles import BUNDLES, read_static

NODE = Path(playwright.__file__).parent / "driver" / "node"
HERE = Path(__file__).parent
SCRIPTS = sorted(
    str(path.relative_to(STATIC)) for path in STATIC.rglob("*.js") if "vendor" not in path.parts
)


def run_node(*arguments: str) -> None:
    """Run Node, and fail with what it says."""
    done = subprocess.run(
        # That our scripts are modules is said where a page loads them, not in a package.json.
        [NODE, "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_scripts_do_without_a_page() -> None:
    tests = sorted(str(path) for path in HERE.glob("*.test.mjs"))
    assert tests
    run_node("--test", "--test-reporter=spec", *tests)


@pytest.mark.parametrize("name", [*SCRIPTS, *(n for n in BUNDLES if n.endswith(".js"))])
def test_a_script_can_be_read(name: str, tmp_path: Path) -> None:
    # A bundle is a module, in which a name that is taken twice is an error.
    copy = tmp_path / ("bundle.mjs" if name in BUNDLES else Path(name).name)
    copy.write_bytes(read_static(name))
    run_node("--check", str(copy))
