"""Settings of how candidates are drawn."""

from typing import Annotated, Literal

from pydantic import Field

from app.kit.sentences import Sentence
from app.round_settings.fields import SettingsModel, Shown
from app.round_settings.groups import SAMPLING

Temperature = Annotated[float, Field(gt=0, le=5)]
Backend = Literal["local", "server"]

BACKENDS = {
    "local": Sentence("the model worker itself"),
    "server": Sentence("the sampling server"),
}


class SamplingSettings(SettingsModel):
    """Settings of sampling: how the candidates of an item are drawn from the model."""

    group = SAMPLING

    openers: Annotated[
        tuple[str, ...],
        Field(min_length=1, max_length=10),
        Shown(
            Sentence("Openers"),
            Sentence(
                "Words that continue the answer's sentence into a rationale; one prompt per "
                "line (\\n for a line break in it)."
            ),
        ),
    ] = (", seeing that",)
    temperatures: Annotated[
        tuple[Temperature, ...],
        Field(min_length=1, max_length=20),
        Shown(Sentence("Temperatures"), Sentence("Separated by spaces.")),
    ] = (0.01, 0.1, 0.3, 0.6, 0.9)
    n_samples: Annotated[
        int,
        Field(ge=1, le=100),
        Shown(Sentence("Draws"), Sentence("Per opener and temperature.")),
    ] = 5
    enough_distinct: Annotated[
        int | None,
        Field(ge=1, le=1000),
        Shown(
            Sentence("Enough texts"),
            # Draws are then made in passes, one draw per opener and temperature in each.
            Sentence("Draw no further for an item with this many distinct texts; empty draws all."),
        ),
    ] = None
    backend: Annotated[
        Backend,
        Shown(
            Sentence("Sampled by"),
            Sentence("Which server is for the installation to say (SAMPLING_SERVER)."),
            choices=BACKENDS,
            is_rare=True,
        ),
    ] = "local"
    server_model: Annotated[
        str | None,
        Field(max_length=300),
        Shown(
            Sentence("Model on the server"),
            Sentence("Its name there; empty takes the only one that the server lists."),
            is_rare=True,
        ),
    ] = None
    top_k_share: Annotated[
        float,
        Field(gt=0, le=1),
        Shown(Sentence("Top-k share"), Sentence("Of the vocabulary."), is_rare=True),
    ] = 0.1
    max_new_tokens: Annotated[
        int,
        Field(ge=1, le=1024),
        Shown(Sentence("Longest rationale"), unit=Sentence("tokens"), is_rare=True),
    ] = 64
    min_characters: Annotated[
        int,
        Field(ge=1, le=100),
        Shown(Sentence("Shortest rationale"), unit=Sentence("characters"), is_rare=True),
    ] = 3
    items_per_shard: Annotated[
        int,
        Field(ge=1, le=1024),
        Shown(Sentence("Items per shard"), Sentence("Stored in one transaction."), is_rare=True),
    ] = 16

    @property
    def draws_per_item(self) -> int:
        """Returns the number of draws for an item that never has enough texts."""
        return len(self.openers) * len(self.temperatures) * self.n_samples
