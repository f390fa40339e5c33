"""Which parameters the roles of a monologue move, and which stay to the bit: on two families that
are no LLaVA, both of which talk in chats; the second stage on the one that learns to ask here."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from app.round_settings import LoopSettings
from app.strategies.monologue import MONOLOGUE, OBSERVER, REASONER, Turn
from tests.support.models.families import FAMILIES, write_pictures
from tests.support.models.taught import QUESTION, begin_role, lessons, teach_role, what_it_holds
from worker.ml.abilities import why_not
from worker.ml.model.adapters import content_digest
from worker.ml.model.attached import adapter_attached
from worker.ml.model.contents import Weights, adapter_weights, read_adapter
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.reinforcement.live import LiveAdapter
from worker.ml.reinforcement.reinforce import reinforce
from worker.ml.reinforcement.types import ReinforceConfig, Rollout
from worker.ml.training.readable import sample_readable
from worker.ml.types import Draw, Failed, SampleConfig, Sampled
from worker.strategies import get_procedure
from worker.strategies.contract import Sampler
from worker.strategies.monologue.rollouts import Rewarded, Rewards, Rollouts

pytestmark = pytest.mark.slow


def settings_of(family: str) -> LoopSettings:
    return LoopSettings.model_validate(
        {
            "strategy": "monologue",
            "training": {
                "epochs": 30, "batch_size": 4, "rank": 2, "alpha": 4, "learning_rate": 0.02,
                "tower": True, "projector": True,
            },
            "monologue": {
                "question_tokens": 12,
                "observation_tokens": 4,
                # Gemma's output layer is its table of words, of which there is no tuned copy.
                "tune_output_up_to": 0 if family == "gemma3" else 8000,
            },
        }
    )  # fmt: skip


SEES = ("visual", "vision", "multi_modal_projector")
"""Words in the names of what sees, in both families."""


@dataclass(frozen=True)
class School:
    """A base, what it was before anything learned, and its adapters by role: as they began and as
    they were when they had learned."""

    vlm: Vlm
    settings: LoopSettings
    base: Weights
    pictures: Sequence[Path]
    begun: dict[str, Path]
    ended: dict[str, Path]

    def changed(self) -> list[str]:
        """The names of the base's tensors that are no longer what they were."""
        now = self.vlm.model.state_dict()
        assert now.keys() == self.base.keys()
        return [name for name, tensor in now.items() if not torch.equal(tensor, self.base[name])]


@pytest.fixture(scope="module", params=["qwen2_5_vl", "gemma3"])
def school(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> School:
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "model").mkdir()
    FAMILIES[request.param](folder / "model")
    vlm = load_vlm(str(folder / "model"), device="cpu")
    pictures = write_pictures(folder / "pictures", 2)
    settings = settings_of(request.param)
    made = School(vlm, settings, _copied(vlm.model.state_dict()), pictures, {}, {})
    for role in MONOLOGUE.roles:
        taught = settings, role, lessons(pictures)
        made.begun[role] = begin_role(vlm, *taught, folder / f"{role}-begun")
        made.ended[role] = teach_role(vlm, *taught, folder / role)
    return made


def _copied(weights: Weights) -> Weights:
    return {name: tensor.clone() for name, tensor in weights.items()}


def moved(begun: Path, ended: Path) -> tuple[set[str], set[str]]:
    """The names of the tensors of an adapter that learned and of those that did not."""
    before, after = read_adapter(begun).weights, read_adapter(ended).weights
    assert before.keys() == after.keys()
    did = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    return did, after.keys() - did


def of_sight(names: Collection[str]) -> set[str]:
    """Those of what sees: the tower and what connects it."""
    return {name for name in names if any(part in name for part in SEES)}


def test_a_role_moves_what_it_uses_and_nothing_else(school: School) -> None:
    assert school.vlm.is_chat
    assert all(why_not(school.vlm, one) is None for one in get_procedure("monologue").needs)
    did, did_not = moved(school.begun[REASONER], school.ended[REASONER])
    assert {name.split(".lora_")[0].rsplit(".", 1)[-1] for name in did} >= {"q_proj", "down_proj"}
    assert did_not == of_sight({*did, *did_not}) != set(), "it is shown no picture"
    did, did_not = moved(school.begun[OBSERVER], school.ended[OBSERVER])
    assert did_not == set()
    assert of_sight(did) not in (set(), did)
    assert school.changed() == []


def test_an_adapter_stays_as_it_is_while_the_other_role_learns(
    school: School, tmp_path: Path
) -> None:
    observer = school.ended[OBSERVER]
    with adapter_attached(school.vlm, observer):
        before = _copied(adapter_weights(school.vlm.model))
    digest = content_digest(observer)
    teach_role(school.vlm, school.settings, REASONER, lessons(school.pictures), tmp_path)
    with adapter_attached(school.vlm, observer):
        after = adapter_weights(school.vlm.model)
        assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert content_digest(observer) == digest


@pytest.mark.parametrize("school", ["qwen2_5_vl"], indirect=True)
@pytest.mark.parametrize("role", MONOLOGUE.roles)
def test_rewards_move_the_role_that_learns_and_nothing_else(
    school: School, role: str, tmp_path: Path
) -> None:
    digests = {name: content_digest(folder) for name, folder in school.ended.items()}
    report = reinforce(
        school.vlm,
        len(school.pictures),
        lambda live: _rollout(school, live, role),
        ReinforceConfig(
            items_per_step=2, draws_per_item=8, batch_size=8, learning_rate=5e-3, seed=3
        ),
        what_it_holds(school.vlm, school.settings, role),
        epochs=(1, 2, 3),
        start_from=school.ended[role],
        reference=school.ended[role],
        about="",
        state_dir=tmp_path / "state",
        out_dir=tmp_path / "adapter",
    )
    assert min(point.share_alike for point in report.curve) < 1, "some draws were worth more"
    did, did_not = moved(school.ended[role], tmp_path / "adapter")
    assert did
    at_rest = of_sight({*did, *did_not}) if role == REASONER else set()
    assert did_not == at_rest
    assert school.changed() == []
    assert {name: content_digest(folder) for name, folder in school.ended.items()} == digests


def _rollout(school: School, live: LiveAdapter, role: str) -> Rollout:
    """Draws of all pictures, with marks that have nothing to do with what they show."""

    def sampler(of: str) -> Sampler:
        def draw(draws: Sequence[Draw], config: SampleConfig) -> list[Sampled | Failed]:
            if of == role:
                live.switch_on()
            else:
                live.switch_off(school.ended[of])
            return sample_readable(school.vlm, draws, config)

        return draw

    def mark(_item: int, turn: Turn) -> tuple[float, float]:
        return (1.0 if "which" in turn.asked else -1.0), (1.0 if len(turn.observed) % 2 else -1.0)

    return Rollouts(
        role,
        {name: sampler(name) for name in MONOLOGUE.roles},
        [Rewarded(str(n), one, QUESTION, "red") for n, one in enumerate(school.pictures)],
        school.settings.monologue,
        Rewards(not_understood=0.5),
        temperature=1.0,
        seed=5,
        marker=mark,
    )
