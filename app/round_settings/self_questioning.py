"""Settings of self-questioning: what a model asks about pictures, and how it learns to."""

from typing import Annotated

from pydantic import Field

from app.kit.sentences import Sentence
from app.round_settings.fields import SettingsModel, Shown
from app.round_settings.groups import SELF_QUESTIONING


class SelfQuestioningSettings(SettingsModel):
    """Settings of the strategy `self_questioning`; no other strategy looks at them."""

    group = SELF_QUESTIONING

    delta: Annotated[
        float,
        Field(ge=0, le=1),
        Shown(
            Sentence("Share of questions it learns to ask"),
            Sentence("Of those behind the first of a dialogue; the others it only answers."),
            is_rare=True,
        ),
    ] = 0.5
    dialogue_turns: Annotated[
        int,
        Field(ge=1, le=16),
        Shown(
            Sentence("Questions per dialogue"),
            Sentence("Of one image, at most; what is left makes another dialogue."),
            is_rare=True,
        ),
    ] = 4
    dropped_weight: Annotated[
        float,
        Field(ge=0, le=100),
        Shown(
            Sentence("Weight of dropped questions"),
            Sentence(
                "It learns to ask them less, of the images that it is trained on. 0: they play no "
                "part."
            ),
            is_rare=True,
        ),
    ] = 0.0
    caption_epochs: Annotated[
        int,
        Field(ge=0, le=100),
        Shown(
            Sentence("Epochs on captions first"),
            Sentence(
                "Prototypes and projector alone learn, before a training that starts from the "
                "base. 0: none."
            ),
            is_rare=True,
        ),
    ] = 0
    n_questions: Annotated[
        int,
        Field(ge=1, le=50),
        Shown(
            Sentence("Questions drawn per image"),
            Sentence("In each round; those that ask the same become one."),
            is_rare=True,
        ),
    ] = 5
    temperature: Annotated[
        float,
        Field(ge=0, le=5),
        Shown(Sentence("Temperature of questions"), is_rare=True),
    ] = 0.7
    question_tokens: Annotated[
        int,
        Field(ge=1, le=256),
        Shown(
            Sentence("Length of a question"),
            Sentence("At most."),
            unit=Sentence("tokens"),
            is_rare=True,
        ),
    ] = 32
    max_per_image: Annotated[
        int,
        Field(ge=1, le=1000),
        Shown(
            Sentence("Questions per image"),
            Sentence("At most, over all rounds, whoever asked them. Dropped ones leave room."),
            is_rare=True,
        ),
    ] = 6
    ask_untaught: Annotated[
        bool,
        Shown(
            Sentence("Ask before it has learned to"),
            Sentence(
                "A base that follows orders can ask at once; off: a round before the first "
                "training asks nothing."
            ),
            is_rare=True,
        ),
    ] = True
    description_temperature: Annotated[
        float,
        Field(ge=0, le=5),
        Shown(Sentence("Temperature of descriptions"), is_rare=True),
    ] = 0.2
    description_tokens: Annotated[
        int,
        Field(ge=1, le=1024),
        Shown(
            Sentence("Length of a description"),
            Sentence("At most."),
            unit=Sentence("tokens"),
            is_rare=True,
        ),
    ] = 64
    probe_questions: Annotated[
        int,
        Field(ge=0, le=5),
        Shown(
            Sentence("Questions about each rationale"),
            Sentence(
                "The model asks them itself and answers from the image and from the rationale; "
                "where these differ, the draw says so. 0: none."
            ),
            is_rare=True,
        ),
    ] = 0
    probe_warns: Annotated[
        bool,
        Shown(
            Sentence("Warn people where its answers differ"),
            Sentence("Off: what it asked is only measured, and sways nobody."),
            is_rare=True,
        ),
    ] = True
    question_row: Annotated[
        bool,
        Shown(
            Sentence("A token of its own says that the model is to ask"),
            Sentence("Learned with the adapter; without it, words say so."),
            is_rare=True,
        ),
    ] = True
    prototypes: Annotated[
        bool,
        Shown(
            Sentence("Prototypes in front of the projector"),
            Sentence("Learned centres of what patches of a picture have in common."),
            is_rare=True,
        ),
    ] = False
    prototype_iterations: Annotated[
        int,
        Field(ge=1, le=10),
        Shown(Sentence("Iterations of the prototypes"), is_rare=True),
    ] = 2
    tune_projector: Annotated[
        bool,
        Shown(
            Sentence("Tune the projector whole"),
            Sentence("All of its weights, in the place of LoRA."),
            is_rare=True,
        ),
    ] = False
    tune_output_up_to: Annotated[
        int,
        Field(ge=0, le=10**6),
        Shown(
            Sentence("Tune the output layer up to"),
            Sentence(
                "Of a base that knows so few words, the output layer learns too: it may never "
                "have said the words of a question. 0: never."
            ),
            unit=Sentence("words"),
            is_rare=True,
        ),
    ] = 8000
