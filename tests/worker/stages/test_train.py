"""What the settings of a loop become for the training."""

from app.round_settings import LoopSettings, TrainingSettings
from worker.ml.types import LoraSettings, TrainConfig
from worker.stages.training_settings import lora_settings, train_config


def test_every_training_setting_arrives() -> None:
    training = TrainingSettings(
        epochs=3,
        batch_size=6,
        gradient_accumulation=2,
        learning_rate=0.01,
        warmup_share=0.2,
        weight_decay=0.1,
        rationale_weight=0.5,
        patience=4,
        gradient_checkpointing=True,
        feature_cache_mb=7,
        shard_base=True,
    )
    settings = LoopSettings(seed=5, dtype="bfloat16", training=training)
    assert train_config(settings, balance=3.0) == TrainConfig(
        epochs=3,
        batch_size=6,
        gradient_accumulation=2,
        learning_rate=0.01,
        warmup_share=0.2,
        weight_decay=0.1,
        loss_weights={"answer": 1.0, "rationale": 1.5, "pointing": 0.0},
        seed=5,
        dtype="bfloat16",
        patience=4,
        gradient_checkpointing=True,
        feature_cache_mb=7,
        shard_base=True,
    )


def test_every_lora_setting_arrives() -> None:
    training = TrainingSettings(
        rank=3,
        alpha=6,
        dropout=0.2,
        targets="q_proj, v_proj",
        tower=True,
        projector=True,
        rslora=True,
        dora=True,
    )
    assert lora_settings(training) == LoraSettings(
        rank=3,
        alpha=6.0,
        dropout=0.2,
        targets=("q_proj", "v_proj"),
        tower=True,
        projector=True,
        rslora=True,
        dora=True,
    )
    assert lora_settings(TrainingSettings()).targets == "all-linear"


def test_a_setting_has_one_default() -> None:
    settings = LoopSettings()
    weights = {"answer": 1.0, "rationale": 1.0, "pointing": 0.0}
    assert train_config(settings, balance=1.0) == TrainConfig(loss_weights=weights)
    assert lora_settings(settings.training) == LoraSettings()
