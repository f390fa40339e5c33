"""Settings of interactive perception: what a model is shown, and how it asks for more."""

from typing import Annotated, Literal

from pydantic import Field

from app.kit.sentences import Sentence
from app.round_settings.fields import SettingsModel, Shown
from app.round_settings.groups import PERCEPTION

Alignment = Literal["none", "captions", "pointing", "pointed_captions"]
Detach = Literal["auto", "on", "off"]
Path = Literal["patches", "pooled"]


class PerceptionSettings(SettingsModel):
    """Settings of the strategy `perception`; no other strategy looks at them."""

    group = PERCEPTION

    alignment: Annotated[
        Alignment,
        Shown(
            Sentence("First stage"),
            Sentence("From which it learns to find places, before it learns from answers."),
            choices={
                "none": Sentence("none: answers alone"),
                "captions": Sentence("captions that name places"),
                "pointing": Sentence("pointing: its attention is led to the place that is named"),
                "pointed_captions": Sentence("both: captions lead its attention, too"),
            },
            is_rare=True,
        ),
    ] = "pointing"
    alignment_steps: Annotated[
        int,
        Field(ge=1, le=100_000),
        Shown(
            Sentence("Steps of the first stage"),
            Sentence("At least; few rows come again. Later rounds go on with the second stage."),
            is_rare=True,
        ),
    ] = 200
    basic_tokens: Annotated[
        int,
        Field(ge=1, le=64),
        Shown(
            Sentence("Basic tokens of a picture"),
            Sentence("What the model is shown unasked: means of so many parts of the picture."),
            is_rare=True,
        ),
    ] = 1
    evidence_tokens: Annotated[
        int,
        Field(ge=1, le=16),
        Shown(
            Sentence("Places per request"),
            Sentence("What the model is shown because it asked."),
            is_rare=True,
        ),
    ] = 1
    request_tokens: Annotated[
        int,
        Field(ge=1, le=16),
        Shown(
            Sentence("Tokens of a request"),
            Sentence("Learned, read behind the question."),
            is_rare=True,
        ),
    ] = 4
    path: Annotated[
        Path,
        Shown(
            Sentence("What a request looks at"),
            choices={
                "patches": Sentence("the places of the picture"),
                "pooled": Sentence("one mean of the picture (released code of LMEye)"),
            },
            is_rare=True,
        ),
    ] = "patches"
    pointing_weight: Annotated[
        float,
        Field(ge=0, le=100),
        Shown(
            Sentence("Weight of drawn boxes"),
            Sentence("How much its attention is led to boxes that people drew. 0: not at all."),
            is_rare=True,
        ),
    ] = 0.0
    detach: Annotated[
        Detach,
        Shown(
            Sentence("Cut the gradient of the request"),
            Sentence("Less memory; the tokens of the request then stay as they begin."),
            choices={
                "auto": Sentence("where memory is short"),
                "on": Sentence("always"),
                "off": Sentence("never"),
            },
            is_rare=True,
        ),
    ] = "auto"
    lora: Annotated[
        bool,
        Shown(
            Sentence("LoRA on the base, too"),
            Sentence("Without it the base stays as it is, and only the perception learns."),
            is_rare=True,
        ),
    ] = False

    @property
    def points(self) -> bool:
        """Whether the first stage leads the attention to places."""
        return self.alignment in {"pointing", "pointed_captions"}

    def reads_boxes(self, *, is_fresh: bool) -> bool:
        """Whether boxes that people drew lead a training: is_fresh, of an adapter that begins with
        the first stage."""
        return self.pointing_weight > 0 or (is_fresh and self.points)
