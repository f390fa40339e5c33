"""Settings of the inner monologue: how far a model may look before it answers."""

from typing import Annotated

from pydantic import Field

from app.kit.sentences import Sentence
from app.round_settings.fields import SettingsModel, Shown
from app.round_settings.groups import MONOLOGUE


class MonologueSettings(SettingsModel):
    """Settings of the strategy `monologue`; no other strategy looks at them."""

    group = MONOLOGUE

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
    with_prior: Annotated[
        bool,
        Shown(
            Sentence("Learn from the prior too"),
            Sentence("The project's imported episodes, beside what is admitted."),
            is_rare=True,
        ),
    ] = True
