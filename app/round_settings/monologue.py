"""Settings of the inner monologue: how far a model may look before it answers."""

from typing import Annotated

from pydantic import Field, model_validator

from app.kit.sentences import Sentence
from app.round_settings.bases import NamedBase
from app.round_settings.fields import SettingsModel, Shown
from app.round_settings.groups import MONOLOGUE


class MonologueSettings(SettingsModel):
    """Settings of the strategy `monologue`; no other strategy looks at them."""

    group = MONOLOGUE

    observer_model: Annotated[
        str | None,
        Shown(
            Sentence("Model of the observer"),
            Sentence(
                "A base model of its own, given as the base model is, beside which the reasoner "
                "keeps that one. Empty: one for both."
            ),
            is_rare=True,
        ),
    ] = None
    observer_revision: Annotated[
        str | None,
        Shown(
            Sentence("Revision of the observer's model"),
            Sentence("As that of the base model."),
            is_rare=True,
        ),
    ] = None
    max_turns: Annotated[
        int,
        Field(ge=1, le=4),
        Shown(
            Sentence("Looks"),
            Sentence("Questions that the model may ask before it answers, at most."),
            is_rare=True,
        ),
    ] = 2
    question_tokens: Annotated[
        int,
        Field(ge=1, le=256),
        Shown(
            Sentence("Question length"),
            Sentence("At most; also of its answer."),
            unit=Sentence("tokens"),
            is_rare=True,
        ),
    ] = 32
    observation_tokens: Annotated[
        int,
        Field(ge=1, le=256),
        Shown(
            Sentence("Observation length"),
            Sentence("At most."),
            unit=Sentence("tokens"),
            is_rare=True,
        ),
    ] = 24
    instruct: Annotated[
        bool,
        Shown(
            Sentence("Tell the reasoner what to do"),
            Sentence("In words, before each question; for a chat model that follows orders."),
            is_rare=True,
        ),
    ] = True
    tune_output_up_to: Annotated[
        int,
        Field(ge=0, le=10**6),
        # Of a small base, the output layer cannot tell the words apart that it never had to say,
        # and LoRA on the layers before cannot teach it: DECISIONS has the figures.
        Shown(
            Sentence("Tune the output layer up to"),
            Sentence(
                "Of a base that knows so few words, the reasoner's output layer learns too: it "
                "may never have said the words of a question. 0: never."
            ),
            unit=Sentence("words"),
            is_rare=True,
        ),
    ] = 8000
    needs_a_look: Annotated[
        bool,
        # Or the reasoner learns to answer without asking (Look Again, Think Slowly).
        Shown(
            Sentence("Learn only from rationales that looked"),
            Sentence("Those that answered without a question teach the reasoner nothing."),
            is_rare=True,
        ),
    ] = True
    with_corrections: Annotated[
        bool,
        Shown(
            Sentence("Teach corrected observations"),
            Sentence(
                "To the observer, in the place of those that people found untrue; nobody has "
                "judged these texts."
            ),
            is_rare=True,
        ),
    ] = False
    unwanted_weight: Annotated[
        float,
        Field(ge=0, le=100),
        Shown(
            Sentence("Weight of unwanted looks"),
            Sentence(
                "Questions that people found useless and observations that they found untrue "
                "become rarer. 0: such observations are left out, and such questions are learned "
                "with the rationale that they led to."
            ),
            is_rare=True,
        ),
    ] = 0.0
    with_prior: Annotated[
        bool,
        Shown(
            Sentence("Learn from the prior too"),
            Sentence("The project's imported episodes, beside what is admitted."),
            is_rare=True,
        ),
    ] = True

    @property
    def observer_base(self) -> NamedBase | None:
        """Returns the base model of the observer; None where it stands on the reasoner's."""
        if self.observer_model is None:
            return None
        return NamedBase(self.observer_model, self.observer_revision)

    @model_validator(mode="after")
    def a_revision_is_of_a_model(self) -> "MonologueSettings":
        if self.observer_model is not None and not self.observer_model.strip():
            raise ValueError(Sentence("Name the model of the observer, or leave it empty."))
        if self.observer_revision is not None and self.observer_model is None:
            raise ValueError(
                Sentence(
                    "The revision of the observer's model is there without the model: name that "
                    "too, or leave both empty."
                )
            )
        return self
