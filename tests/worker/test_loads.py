"""What a model worker loads for what it does."""

import json
from pathlib import Path

import pytest

from tests.support.command_line import run_python

LEARN_AND_SAY = """
import json, sys
from pathlib import Path

import worker.stages.compare, worker.stages.evaluate, worker.stages.generate, worker.stages.train
from app.round_settings import LoopSettings
from tests.support.models.families import build_llava, write_pictures
from tests.support.models.taught import Asking, lessons, say, teach_role
from worker.ml.model.loading import load_vlm

folder = Path(sys.argv[1])
build_llava(folder / "model")
pictures = write_pictures(folder / "pictures", 2)
settings = LoopSettings(strategy="monologue")
vlm = load_vlm(str(folder / "model"), device="cpu")
adapters = {
    role: str(teach_role(vlm, settings, role, lessons(pictures), folder / role))
    for role in ("reasoner", "observer")
}
said = say(Asking(str(folder / "model"), settings, adapters, [str(one) for one in pictures]))
without = sorted(sys.modules)
import worker.stages.reinforce
print(json.dumps([len(said), without, sorted(sys.modules)]))
"""


@pytest.mark.slow
def test_loading_a_first_stage_and_sampling_load_no_trl(tmp_path: Path) -> None:
    ended = run_python("-c", LEARN_AND_SAY, str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    n_said, loaded, with_rewards = json.loads(ended.stdout.splitlines()[-1])
    assert n_said > 0
    assert "trl" not in loaded
    assert "trl" in with_rewards, "what learns from rewards loads it"
