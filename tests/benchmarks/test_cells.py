"""Cells of a benchmark: measured once, several at a time, and kept whatever becomes of others."""

import json
from pathlib import Path

import pytest

from app.kit.errors import AppError
from benchmarks.support.cells import Cells

CELL = """
import json, sys, time
from pathlib import Path
from benchmarks.support.held import held

config = json.loads(sys.argv[-1])
diary = Path(sys.argv[1])

def note(what):
    with diary.open("a") as file:
        file.write(f"{what} {config['n']}\\n")

note("begin")
if config["n"] == 0:
    sys.exit("this one fails")
if config.get("waits_for"):
    while f"begin {config['waits_for']}" not in diary.read_text():
        time.sleep(0.01)
if config.get("shares"):
    with held(diary.with_name(config["shares"])):
        note("in")
        time.sleep(0.2)
        note("out")
print(json.dumps({"double": 2 * config["n"]}))
"""


@pytest.fixture
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cells:
    (tmp_path / "one_cell.py").write_text(CELL, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2]}")
    return Cells("one_cell", tmp_path / "kept.jsonl", (str(tmp_path / "diary"),))


def diary(cells: Cells) -> list[str]:
    return (cells.path.parent / "diary").read_text(encoding="utf-8").splitlines()


def kept(cells: Cells) -> list[int]:
    lines = cells.path.read_text(encoding="utf-8").splitlines()
    return sorted(json.loads(line)["config"]["n"] for line in lines)


def test_results_come_in_order_and_no_cell_is_measured_twice(cells: Cells) -> None:
    # The first ends only once the second has begun.
    wanted = [{"n": 1, "waits_for": 2}, {"n": 2}, {"n": 3}]
    assert cells.measure_all(wanted, at_once=2) == [{"double": 2}, {"double": 4}, {"double": 6}]
    again = Cells(cells.module, cells.path, cells.options)
    assert again.measure_all(wanted) == [{"double": 2}, {"double": 4}, {"double": 6}]
    assert kept(cells) == [1, 2, 3]
    assert sorted(diary(cells)) == ["begin 1", "begin 2", "begin 3"]


def test_what_runs_beside_one_that_fails_is_kept_and_nothing_more_begins(cells: Cells) -> None:
    wanted = [{"n": 0}, {"n": 1, "waits_for": 0}, *({"n": n} for n in range(2, 20))]
    with pytest.raises(AppError, match=r"kept in .*kept\.jsonl: mend the cause and start again"):
        cells.measure_all(wanted, at_once=2)
    begun = [line for line in diary(cells) if line.startswith("begin")]
    assert len(begun) < len(wanted)
    assert kept(cells) == sorted(int(line.split()[1]) for line in begun)[1:]


def test_two_cells_do_not_make_the_same_at_once(cells: Cells) -> None:
    cells.measure_all([{"n": n, "shares": "model"} for n in (1, 2, 3)], at_once=3)
    inside = [line.split()[0] for line in diary(cells) if not line.startswith("begin")]
    assert inside == ["in", "out"] * 3
