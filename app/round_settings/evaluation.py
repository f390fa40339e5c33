"""Settings of how a round is measured, and of when the loop ends."""

from typing import Annotated, Literal

from pydantic import Field

from app.kit.numbers import LARGEST
from app.kit.sentences import Sentence
from app.round_settings.fields import SettingsModel, Shown
from app.round_settings.groups import END
from app.round_settings.sampling import BACKENDS, Backend, Temperature


class EvaluationSettings(SettingsModel):
    """Settings of the evaluation: which held-out items are asked, and how answers are scored."""

    group = END

    critic: Annotated[
        str, Shown(Sentence("Critic"), Sentence("Says whether held-out rationales fit."))
    ] = "rouge:0.5"
    test_each_round: Annotated[
        bool,
        # Decisions never look at it.
        Shown(Sentence("Score the test split too"), is_rare=True),
    ] = True
    backend: Annotated[
        Backend,
        Shown(
            Sentence("Evaluated by"),
            Sentence("Which server is for the installation to say (SAMPLING_SERVER)."),
            choices=BACKENDS,
            is_rare=True,
        ),
    ] = "local"
    temperature: Annotated[Temperature, Shown(Sentence("Temperature"), is_rare=True)] = 0.01
    blank_image: Annotated[
        Literal["never", "baseline", "always"],
        Shown(
            Sentence("Ask without the picture"),
            Sentence("Shows what a model knows without looking; takes as long again."),
            choices={
                "never": Sentence("no model"),
                "baseline": Sentence("the base model"),
                "always": Sentence("every model"),
            },
            is_rare=True,
        ),
    ] = "baseline"
    meteor: Annotated[
        bool,
        Shown(
            Sentence("METEOR too"),
            Sentence("Where workers have Java and the package pycocoevalcap."),
            is_rare=True,
        ),
    ] = True
    max_items: Annotated[
        int | None,
        Field(ge=1, le=LARGEST),
        Shown(Sentence("Items per split"), Sentence("At most; empty takes all."), is_rare=True),
    ] = None


class StopSettings(SettingsModel):
    """When the loop ends by itself."""

    group = END

    round_limit: Annotated[
        int, Field(ge=1, le=1000), Shown(Sentence("Rounds"), Sentence("At most."))
    ] = 10
    enough_covered: Annotated[
        float,
        Field(gt=0, le=1),
        Shown(
            Sentence("Enough covered"),
            Sentence("Share of the train items with a fitting rationale that ends the loop."),
            is_rare=True,
        ),
    ] = 1.0
    min_progress: Annotated[
        float,
        Field(ge=0, le=1),
        # Of the items that were open before the round.
        Shown(Sentence("Least progress"), Sentence("Newly covered share."), is_rare=True),
    ] = 0.01
    patience: Annotated[
        int,
        Field(ge=1, le=100),
        Shown(Sentence("Rounds without progress"), Sentence("Before the loop ends."), is_rare=True),
    ] = 1
    accuracy_floor: Annotated[
        float | None,
        Field(ge=0, le=1),
        # Of answers to validation items.
        Shown(
            Sentence("Accuracy floor"),
            Sentence("Empty: 5 points under the base model."),
            is_rare=True,
        ),
    ] = None
