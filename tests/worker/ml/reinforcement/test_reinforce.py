"""Learning from rewards: on a tiny model, from texts that it samples itself."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from worker.ml.errors import MlError, Stopped
from worker.ml.inputs.encode import encoder_of
from worker.ml.inputs.prompts import DEFAULT_STYLE
from worker.ml.model.adapters import content_digest
from worker.ml.model.attached import adapter_attached
from worker.ml.model.contents import add_new_adapter, remove_adapters, trainable, write_adapter
from worker.ml.model.loading import Vlm
from worker.ml.reinforcement.live import LiveAdapter
from worker.ml.reinforcement.reinforce import Environment, plan_visits, reinforce
from worker.ml.reinforcement.scores import score
from worker.ml.reinforcement.types import ReinforceConfig, ReinforceReport, Rolled, Rollout, Visit
from worker.ml.sampling.generate import sample
from worker.ml.sampling.seeds import derive_seed
from worker.ml.training.losses import encode_example
from worker.ml.types import (
    AdapterSettings,
    Draw,
    Example,
    LoraSettings,
    ModuleSettings,
    Part,
    Prompt,
    SampleConfig,
    Sampled,
)

ADAPTER = AdapterSettings(
    LoraSettings(rank=4, dropout=0.1), modules={"output": ModuleSettings("tuned", "lm_head")}
)
CONFIG = ReinforceConfig(
    items_per_step=2, draws_per_item=4, batch_size=4, learning_rate=5e-3, kl_weight=0.02, seed=3
)
FREE = ReinforceConfig(
    items_per_step=3, draws_per_item=16, batch_size=48, learning_rate=0.03, kl_weight=0.0, seed=3
)
"""Learns fast, and nothing holds it back."""
QUESTION = "what colour is the cube ?"
N_ITEMS = 3
SEEN = Part(" see: red.", None, is_apart=True)
LENGTH = SampleConfig(max_new_tokens=5, top_k_share=1.0)


@pytest.fixture(scope="module")
def start(llava: Vlm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that does something."""
    folder = tmp_path_factory.mktemp("start") / "adapter"
    torch.manual_seed(5)
    add_new_adapter(llava.model, ADAPTER)
    for parameter in trainable(llava.model):
        parameter.data += 0.1 * torch.randn_like(parameter)
    write_adapter(llava.model, folder, llava.revision)
    remove_adapters(llava.model)
    return folder


def talk(
    vlm: Vlm, picture: Path | None, visits: Sequence[Visit]
) -> list[tuple[Example, list[Sampled]]]:
    """Of each draw two sampled turns with a thing that is read between them."""
    keys = [(visit.epoch, visit.item, draw) for visit in visits for draw in visit.draws]
    said: list[list[Part]] = [[] for _ in keys]
    made: list[list[Sampled]] = [[] for _ in keys]
    for turn in range(2):
        draws = [
            Draw(
                Prompt(picture, QUESTION, None, "", said=tuple(parts)),
                1.0,
                derive_seed("talk", *key, turn),
            )
            for key, parts in zip(keys, said, strict=True)
        ]
        for place, one in enumerate(sample(vlm, draws, LENGTH)):
            made[place].append(one)
            part = Part(one.text, "turn", one.tokens or (), is_open=bool(one.is_cut))
            said[place] += [part, SEEN]
    examples = [Example(picture, QUESTION, tuple(parts[:-1])) for parts in said]
    return list(zip(examples, made, strict=True))


def environment(
    vlm: Vlm,
    reward: Callable[[Sequence[Sampled], int], float],
    *,
    picture: Path | None = None,
    rests: Path | None = None,
) -> Environment:
    """Talks, each rewarded for what was sampled; another adapter says something in between."""

    def make(live: LiveAdapter) -> Rollout:
        def play(visits: Sequence[Visit]) -> list[Rolled]:
            live.switch_off(rests)
            sample(vlm, [Draw(Prompt(picture, "is it ?", None, ""), 0.0, 1)], LENGTH)
            live.switch_on()
            numbers = [draw for visit in visits for draw in visit.draws]
            return [
                Rolled(example, reward(said, number), "said", 10)
                for number, (example, said) in zip(numbers, talk(vlm, picture, visits), strict=True)
            ]

        return play

    return make


def earning(vlm: Vlm, earned: Callable[[Sequence[Sampled]], tuple[float, ...]]) -> Environment:
    """As `environment`, but how a draw ends is worth nothing, and its parts earn by themselves."""

    def make(live: LiveAdapter) -> Rollout:
        def play(visits: Sequence[Visit]) -> list[Rolled]:
            live.switch_on()
            return [
                Rolled(example, sum(earned(said)), "said", 10, earned(said))
                for example, said in talk(vlm, None, visits)
            ]

        return play

    return make


def is_low(said: Sequence[Sampled], _draw: int) -> float:
    """Rewards the share of tokens of the first half of the vocabulary."""
    tokens = [token for one in said for token in one.tokens or ()]
    return sum(token < 109 for token in tokens) / max(1, len(tokens))


def learn(
    vlm: Vlm, start: Path, folder: Path, made: Environment, config: ReinforceConfig, **more: Any
) -> ReinforceReport:
    return reinforce(
        vlm,
        N_ITEMS,
        made,
        config,
        ADAPTER,
        epochs=more.pop("epochs", (1, 2)),
        start_from=start,
        reference=more.pop("reference", start),
        about=more.pop("about", ""),
        state_dir=folder / "state",
        out_dir=folder / "adapter",
        **more,
    )


@pytest.mark.parametrize("is_seen", [False, True], ids=["blind", "seeing"])
def test_what_was_sampled_is_as_probable_for_the_trainer_as_it_was_for_the_sampler(
    llava: Vlm, start: Path, pictures: list[Path], is_seen: bool
) -> None:
    picture = pictures[0] if is_seen else None
    with adapter_attached(llava, start):
        talks = talk(llava, picture, [Visit(1, 0, tuple(range(6)))])
        encoder = encoder_of(llava)
        rows = [
            encode_example(llava, encoder, example, place, DEFAULT_STYLE)[0]
            for place, (example, _) in enumerate(talks)
        ]
        with torch.no_grad():
            scores = score(llava, llava.model, [None, *rows], 1.0)
    sums = scores.in_columns(40).sum(1).tolist()
    expected = [sum(one.log_probability or 0.0 for one in made) for _, made in talks]
    assert sums == pytest.approx([0.0, *expected], rel=1e-4, abs=1e-4)
    asked = (scores.in_columns(40) != 0).sum(1).tolist()
    assert asked == [0, *(sum(one.n_tokens or 0 for one in made) for _, made in talks)]


def test_what_is_rewarded_is_said_more_often(llava: Vlm, start: Path, tmp_path: Path) -> None:
    made = environment(llava, is_low)
    report = learn(llava, start, tmp_path, made, FREE, epochs=range(1, 11))
    rewards = [point.reward for point in report.curve]
    assert sum(rewards[-3:]) / 3 > sum(rewards[:2]) / 2 + 0.2
    assert report.curve[0].outcomes == {"said": 48}


def test_what_one_turn_earns_is_learned_from(llava: Vlm, start: Path, tmp_path: Path) -> None:
    config = replace(FREE, batch_size=16)  # in three batches
    made = earning(llava, lambda said: (is_low(said[:1], 0),))
    report = learn(llava, start, tmp_path, made, config, epochs=range(1, 11))
    rewards = [point.reward for point in report.curve]
    assert sum(rewards[-3:]) / 3 > sum(rewards[:2]) / 2 + 0.2


def test_the_divergence_is_that_from_the_reference_and_holds_back(
    llava: Vlm, start: Path, tmp_path: Path
) -> None:
    def by_chance(_said: Sequence[Sampled], draw: int) -> float:
        return float(draw % 2)

    made = environment(llava, by_chance, rests=start)
    free = learn(llava, start, tmp_path / "free", made, replace(CONFIG, kl_weight=1e-6))
    assert free.curve[0].kl == pytest.approx(0.0, abs=1e-6)
    assert free.curve[-1].kl > 1e-3
    held = learn(llava, start, tmp_path / "held", made, replace(CONFIG, kl_weight=5.0))
    assert held.curve[-1].kl < free.curve[-1].kl
    on = learn(llava, tmp_path / "free" / "adapter", tmp_path / "on", made, CONFIG, reference=start)
    assert on.curve[0].kl > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [1, 3])
def test_a_run_that_is_broken_off_ends_as_one_that_is_not(
    llava: Vlm, start: Path, pictures: list[Path], tmp_path: Path, stop_after: int
) -> None:
    made = environment(llava, is_low, picture=pictures[0], rests=start)
    whole = learn(llava, start, tmp_path / "whole", made, CONFIG)
    seen: list[int] = []
    with pytest.raises(Stopped):
        learn(
            llava,
            start,
            tmp_path / "broken",
            made,
            CONFIG,
            on_progress=lambda progress: seen.append(progress.step),
            should_stop=lambda: len(seen) >= stop_after,
        )
    torch.rand(7)  # whatever else happened in the process
    rest = learn(llava, start, tmp_path / "broken", made, CONFIG)
    assert rest.resumed_from_step == stop_after == len(seen)
    assert rest.curve == whole.curve
    digests = [content_digest(tmp_path / name / "adapter") for name in ("whole", "broken")]
    assert digests[0] == digests[1] != content_digest(start)


def test_a_stop_amid_the_draws_goes_on_from_the_generation_before(
    llava: Vlm, start: Path, tmp_path: Path
) -> None:
    def until(n_draws: int) -> Environment:
        left = [n_draws]

        def reward(said: Sequence[Sampled], draw: int) -> float:
            left[0] -= 1
            if left[0] < 0:
                raise Stopped
            return is_low(said, draw)

        return environment(llava, reward)

    whole = learn(llava, start, tmp_path / "whole", until(99), CONFIG)
    with pytest.raises(Stopped):
        learn(llava, start, tmp_path / "broken", until(13), CONFIG)
    rest = learn(llava, start, tmp_path / "broken", until(99), CONFIG)
    assert rest.resumed_from_step == 1
    assert rest.curve == whole.curve


@pytest.mark.slow
def test_another_reward_begins_anew(llava: Vlm, start: Path, tmp_path: Path) -> None:
    made = environment(llava, is_low)

    def begin(about: str, *, stops: bool) -> ReinforceReport:
        return learn(
            llava, start, tmp_path, made, CONFIG,
            about=about, epochs=(1,), should_stop=lambda: stops,
        )  # fmt: skip

    with pytest.raises(Stopped):
        begin("marks", stops=True)
    with pytest.raises(Stopped):
        begin("no marks", stops=True)
    assert begin("no marks", stops=False).resumed_from_step == 1
    with pytest.raises(Stopped):
        begin("marks", stops=True)
    assert begin("no marks", stops=False).resumed_from_step is None


def test_the_model_comes_back_as_it_was(llava: Vlm, start: Path, tmp_path: Path) -> None:
    draw = Draw(Prompt(None, QUESTION, None, ""), 1.0, 9)
    [before] = sample(llava, [draw], LENGTH)
    kept = {name: id(value) for name, value in vars(llava.model).items() if name != "training"}
    randomness = torch.random.get_rng_state()
    learn(llava, start, tmp_path, environment(llava, is_low), CONFIG, epochs=(1,))
    assert torch.equal(torch.random.get_rng_state(), randomness)
    assert vars(llava.model).keys() - {"training"} == kept.keys()
    assert llava.adapter is None
    assert not llava.model.training
    assert not trainable(llava.model)
    assert sample(llava, [draw], LENGTH) == [before]


def test_every_item_is_visited_once_in_an_epoch_with_draws_of_its_own() -> None:
    steps = plan_visits(5, replace(CONFIG, items_per_step=3), (1, 2))
    assert [len(step) for step in steps] == [3, 3, 3, 3]
    for epoch in (1, 2):
        visits = [visit for step in steps for visit in step if visit.epoch == epoch]
        assert {visit.item for visit in visits} == set(range(5))
        assert len(set(visits)) == 6  # one item once more, with other draws
    assert [v.item for v in steps[0]] != [v.item for v in steps[2]]


def test_nothing_to_draw_from_is_an_error(llava: Vlm, start: Path, tmp_path: Path) -> None:
    with pytest.raises(MlError, match="no items to draw from"):
        reinforce(
            llava,
            0,
            environment(llava, is_low),
            CONFIG,
            ADAPTER,
            epochs=(1,),
            start_from=start,
            reference=start,
            about="",
            state_dir=tmp_path / "state",
            out_dir=tmp_path / "adapter",
        )
