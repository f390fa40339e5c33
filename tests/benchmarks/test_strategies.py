"""The comparison of the strategies: its data are what they say, its tables what was measured."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from app.scenes.monologues import is_useful, observe
from app.scenes.scene import Obj, Scene, is_held_out
from app.strategies.monologue import Turn
from benchmarks.strategies import data
from benchmarks.strategies.data import (
    PLACES,
    Pictures,
    draw_looks,
    draw_questions,
    look_kind,
    look_text,
    with_monologues,
)
from benchmarks.strategies.hasty import hasty_prior
from benchmarks.strategies.plan import KINDS, TWO_LOOKS, plan
from benchmarks.strategies.rewards import exact_marker
from benchmarks.strategies.second_stage import poor_prior
from benchmarks.strategies.speed import by_generate
from benchmarks.strategies.tables import Measured, print_monologue
from benchmarks.support.cells import Config, Result
from worker.host.models import DEMO_CHECKPOINT
from worker.ml.model.loading import load_vlm
from worker.ml.sampling.generate import sample
from worker.ml.types import Draw, Prompt, SampleConfig, Sampled


def test_held_out_questions_are_of_scenes_that_nobody_trains_on() -> None:
    n_by_kind = dict.fromkeys(KINDS, 3)
    trained = draw_questions("a", n_by_kind)
    held_out = draw_questions("a", n_by_kind, held_out=True)
    assert [asked.kind for asked in trained] == [*KINDS] * 3
    assert not any(is_held_out(asked.scene) for asked in trained)
    assert all(is_held_out(asked.scene) for asked in held_out)
    assert draw_questions("a", n_by_kind) == trained
    assert draw_questions("b", n_by_kind) != trained
    for asked, monologue in with_monologues("a", trained):
        assert monologue.answer == asked.question.answer


def test_looks_are_true_and_of_the_kinds_that_are_wanted() -> None:
    assert {look_kind(query) for _, query in draw_looks("a", 50, shares=PLACES)} == {"where"}
    looks = draw_looks("a", 200)
    kinds = [look_kind(query) for _, query in looks]
    assert 50 < kinds.count("where") + kinds.count("row or column") < 95
    assert "none" not in kinds
    for scene, query in looks[:40]:
        asked, observed = look_text(scene, query)
        assert observe(scene, asked) == observed


def test_no_place_is_asked_for_where_everything_has_a_double(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ball = Obj("sphere", "red", "small", "metal", 0, 0)
    drawn = [Scene((ball, replace(ball, row=1))), Scene((ball,))]
    monkeypatch.setattr(data, "training_scene", lambda _: drawn.pop(0))
    assert [scene for scene, _ in draw_looks("a", 2, shares=PLACES, per_scene=2)] == [
        Scene((ball,))
    ] * 2


def test_a_program_marks_as_people_would_who_never_err() -> None:
    asked = draw_questions("a", dict.fromkeys(KINDS, 2))
    mark = exact_marker(asked)
    for place, (_, monologue) in enumerate(with_monologues("a", asked)):
        for look in monologue.looks:
            assert mark(place, Turn(asked=look.asked, observed=look.observed)) == (1.0, 1.0)
            assert mark(place, Turn(asked=look.asked, observed="a cow")) == (1.0, -1.0)
    assert mark(0, Turn(asked="why ?", observed="no")) == (-1.0, None)


def test_a_scene_is_drawn_once(tmp_path: Path) -> None:
    asked = draw_questions("a", {"count": 1})[0]
    pictures = Pictures(tmp_path)
    path = pictures.of(asked.scene)
    before = path.stat().st_mtime_ns
    assert Pictures(tmp_path).of(asked.scene) == path
    assert path.stat().st_mtime_ns == before
    assert [file.suffix for file in tmp_path.iterdir()] == [".png"]


def test_every_control_is_planned_for_every_seed() -> None:
    cells = plan("full", 3)
    assert {cell["seed"] for cell in cells} == {3}
    arms = {cell["arm"] for cell in cells}
    assert arms == {
        *("observer", "single", "reasoner", "monologue", "answers"),
        *("facts", "caption", "blind", "forced", "speed"),
        *("hasty", "poor", "more", "rewarded"),
    }
    assert {cell["arm"] for cell in plan("quick", 0)} >= {"monologue", "answers"}


def cell(arm: str, seed: int, share: float, **more: object) -> Measured:
    config: Config = {"scale": "full", "seed": seed, "arm": arm, **more}
    result: Result = {"right": dict.fromkeys(KINDS, share), "n_supervised": 10}
    return config, result


def test_tables_compare_seed_by_seed(capsys: pytest.CaptureFixture[str]) -> None:
    measured = [
        *(cell("monologue", seed, 0.80 + 0.02 * seed, n=32000) for seed in range(3)),
        *(cell("answers", seed, 0.50 + 0.02 * seed, times=1) for seed in range(3)),
        cell("answers", 0, 0.6, times=3),
    ]
    print_monologue(measured)
    shown = " ".join(capsys.readouterr().out.split())
    assert "0.820" in shown
    assert "0.050" in shown, "Student's interval over three seeds"
    assert "+0.300" in shown
    assert "0.000" in shown, "paired: what the seeds share cancels out"
    assert "+0.200" in shown
    assert TWO_LOOKS[0] in shown


def test_the_fastest_batch_is_what_speed_is_compared_with(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def played(way: str, rate: float) -> Result:
        rates = {"episodes_per_s": rate, "episodes_per_cpu_s": rate}
        return {"way": way, "n_episodes": 50} | rates

    ways = [("ours", 60.0), ("one", 5.0), ("batched", 10.0), ("batched", 20.0)]
    config: Config = {"scale": "full", "seed": 0, "arm": "speed"}
    print_monologue([(config, {"ways": [played(way, rate) for way, rate in ways]})])
    shown = capsys.readouterr().out
    assert "12.000" in shown
    assert "3.000" in shown
    assert "6.000" not in shown


def test_episodes_without_a_look_are_compared_by_seed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def hasty(seed: int, share: float, *, is_left_out: bool) -> Measured:
        config, result = cell("hasty", seed, share, needs_a_look=is_left_out)
        return config, result | {"turns_per_item": 2.0 if is_left_out else 1.5}

    print_monologue(
        [
            *(hasty(seed, 0.9, is_left_out=True) for seed in range(3)),
            *(hasty(seed, 0.7, is_left_out=False) for seed in range(3)),
        ]
    )
    shown = capsys.readouterr().out
    assert "+0.200" in shown
    assert "+0.500" in shown, "the turns"


def test_a_third_of_the_hasty_prior_has_no_look() -> None:
    asked = draw_questions("hasty", dict.fromkeys(KINDS, 3))
    lessons = hasty_prior(asked, 0)
    assert [one.answer for one in lessons] == [one.question.answer for one in asked]
    assert sum(not one.turns for one in lessons) == len(asked) // 3


def test_rewards_are_compared_with_more_steps_of_the_first_stage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def after(arm: str, seed: int, share: float, **more: object) -> Measured:
        config, result = cell(arm, seed, share, **more)
        return config, result | {"useful": dict.fromkeys(KINDS, share / 2)}

    print_monologue(
        [
            *(after("poor", seed, 0.40 + 0.02 * seed) for seed in range(3)),
            *(after("more", seed, 0.50 + 0.02 * seed) for seed in range(3)),
            *(after("rewarded", seed, 0.7, question_reward=0.0) for seed in range(3)),
        ]
    )
    shown = capsys.readouterr().out.splitlines()
    means = [
        re.findall(r"[+-]\d\.\d+", line)[-1] for line in shown if re.search(r"[+-]\d\.\d+ ±", line)
    ]
    assert means == ["+0.280", "+0.180", "+0.140", "+0.090"], "answers, then questions"


def test_a_quarter_of_a_poor_prior_helps() -> None:
    asked = draw_questions("a", dict.fromkeys(KINDS, 4))
    episodes = poor_prior(asked, seed=0)
    assert [one for one, _ in episodes] == asked
    helps = [
        all(is_useful(one.query, one.scene, look.asked) for look in made.looks)
        for one, made in episodes
    ]
    assert sum(helps) == 7
    assert all(made.answer == one.question.answer for one, made in episodes)
    assert [made for _, made in poor_prior(asked, seed=1)] != [made for _, made in episodes]


def test_generate_says_what_our_sampler_says(tmp_path: Path) -> None:
    vlm = load_vlm(str(DEMO_CHECKPOINT), device="cpu")
    pictures = Pictures(tmp_path)
    asked = draw_questions("speed", {"attribute": 2, "count": 1, "relation": 1})
    draws = [
        Draw(Prompt(pictures.of(one.scene), one.question.text, None, ""), 0.0, seed)
        for one in asked
        for seed in range(2)
    ]
    draws.append(Draw(Prompt(None, asked[0].question.text, None, ""), 0.0, 1))
    config = SampleConfig(max_new_tokens=6, top_k_share=1.0)
    by_rows = [by_generate(vlm, n_rows)(draws, config) for n_rows in (1, 3, 64)]
    ours = [made.text for made in sample(vlm, draws, config)]
    for found in by_rows:
        assert [made.text for made in found if isinstance(made, Sampled)] == ours


def test_nothing_measured_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    print_monologue([])
    assert "Nothing is measured yet." in capsys.readouterr().out
