"""What `illume loop` makes of a project's settings."""

from app.cli.loop.loop import loop_settings
from app.round_settings import LoopSettings, TrainingSettings


def test_the_upper_line_leaves_corrected_texts_out() -> None:
    project = LoopSettings(training=TrainingSettings(written=True))
    made = {
        control: loop_settings(
            project,
            critic="exact",
            n_rounds=1,
            strategy=None,
            control=control,
            seed=None,
            dtype=None,
            stop_early=True,
        ).training
        for control in ("none", "gold")
    }
    assert (made["none"].source, made["none"].written) == ("admitted", True)
    assert (made["gold"].source, made["gold"].written) == ("gold", False)
