"""Settings of the second stage of a strategy: what it learns from rewards of its own draws."""

from typing import Annotated, Literal

from pydantic import Field

from app.kit.sentences import Sentence
from app.round_settings.fields import SettingsModel, Shown
from app.round_settings.groups import REINFORCEMENT


class ReinforcementSettings(SettingsModel):
    """Settings of learning from rewards, which follows each training of a round."""

    group = REINFORCEMENT

    epochs: Annotated[
        int,
        Field(ge=0, le=100),
        Shown(
            Sentence("Epochs of rewards"),
            Sentence("In which a monologue learns from how its own draws ended. 0: none."),
        ),
    ] = 0
    turns: Annotated[
        Literal["epochs", "rounds", "reasoner"],
        Shown(
            Sentence("Who learns from them"),
            choices={
                "epochs": Sentence("reasoner and observer, an epoch each in turn"),
                "rounds": Sentence("reasoner and observer, a round each in turn"),
                "reasoner": Sentence("the reasoner alone"),
            },
            is_rare=True,
        ),
    ] = "epochs"
    max_items: Annotated[
        int,
        Field(ge=0, le=10**6),
        Shown(
            Sentence("Items of an epoch of rewards"),
            Sentence("At most, chosen by the seed and the round. 0: all train items."),
            is_rare=True,
        ),
    ] = 0
    items_per_step: Annotated[
        int,
        Field(ge=1, le=1024),
        Shown(Sentence("Items of a step of rewards"), is_rare=True),
    ] = 12
    draws_per_item: Annotated[
        int,
        Field(ge=2, le=128),
        Shown(
            Sentence("Draws per item for rewards"),
            Sentence("They are compared with each other."),
            is_rare=True,
        ),
    ] = 8
    temperature: Annotated[
        float,
        Field(gt=0, le=5),
        Shown(Sentence("Temperature of rewarded draws"), is_rare=True),
    ] = 1.0
    learning_rate: Annotated[
        float,
        Field(gt=0, le=1),
        Shown(Sentence("Learning rate of rewards"), is_rare=True),
    ] = 3e-4
    kl_weight: Annotated[
        float,
        Field(ge=0, le=100),
        # Without it the reasoner forgets how to explain: no reward asks for a rationale.
        Shown(
            Sentence("Weight of the divergence"),
            Sentence("Holds the model near what the training before made of it (KL)."),
            is_rare=True,
        ),
    ] = 0.02
    question_reward: Annotated[
        float,
        Field(ge=0, le=10),
        Shown(
            Sentence("Reward of a useful question"),
            Sentence(
                "Where people marked it, beside 1 for a right answer; taken off for a useless one."
            ),
            is_rare=True,
        ),
    ] = 0.5
    observation_reward: Annotated[
        float,
        Field(ge=0, le=10),
        Shown(
            Sentence("Reward of a true observation"),
            Sentence("Where people marked it; taken off for a false one."),
            is_rare=True,
        ),
    ] = 0.5
    repeated_cost: Annotated[
        float,
        Field(ge=0, le=10),
        Shown(
            Sentence("Cost of a repeated question"),
            Sentence("It earns nothing in any case."),
            is_rare=True,
        ),
    ] = 0.0
    not_understood_cost: Annotated[
        float,
        Field(ge=0, le=10),
        Shown(
            Sentence("Cost of words that are not understood"),
            Sentence("Also of a question when no look is left."),
            is_rare=True,
        ),
    ] = 0.0
