"""Settings of who judges candidates, and of which are admitted after that."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import CoreSchema
from pydantic_core.core_schema import str_schema

from app.kit.numbers import LARGEST
from app.kit.sentences import Sentence
from app.round_settings.fields import SettingsModel, Shown
from app.round_settings.groups import JUDGING

Order = Literal["random", "fewest_first", "uncertainty"]


class Judges(str):
    """The judge of a round, as its settings name it: `people`, or a critic with its threshold
    (`exact`, `rouge:0.5`)."""

    __slots__ = ()

    @property
    def are_people(self) -> bool:
        """Whether people judge; else the critic of this name does."""
        return self == PEOPLE

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: Any) -> CoreSchema:
        """Lets settings check it as the text that they store; a field makes it of that."""
        return str_schema()


PEOPLE = Judges("people")
KNOWS_SCENES = Judges("exact")
"""The critic that judges by the facts of rendered scenes; others need a gold rationale."""


class JudgingSettings(SettingsModel):
    """Settings of judging: by whom, how many items per person, and in which order."""

    group = JUDGING

    judges: Annotated[
        Judges,
        Field(max_length=100),
        AfterValidator(Judges),
        Shown(
            Sentence("Judged by"),
            Sentence(
                "people, or a critic: exact (rendered scenes), rouge:0.5 … rouge:0.7 is as in "
                "the paper, and accepts 2.4 %% of human rationales."
            ),
        ),
    ] = PEOPLE
    overlap: Annotated[int, Field(ge=1, le=20), Shown(Sentence("Annotators per item"))] = 1
    max_overlap: Annotated[
        int | None,
        Field(ge=1, le=20),
        Shown(
            Sentence("On disagreement up to"),
            Sentence(
                "Annotators, one more at a time while over a third sees it otherwise; empty: none."
            ),
        ),
    ] = None
    max_shown: Annotated[
        int,
        Field(ge=1, le=10),
        Shown(Sentence("Candidates shown"), Sentence("At most, per item.")),
    ] = 8
    order: Annotated[
        Order,
        Shown(
            Sentence("Queue order"),
            Sentence(
                "Uncertain: where people disagree first, then where the model's draws differ most."
            ),
            choices={
                "random": Sentence("random"),
                "fewest_first": Sentence("fewest judgements first"),
                "uncertainty": Sentence("most uncertain first"),
            },
            is_rare=True,
        ),
    ] = "random"
    max_per_annotator: Annotated[
        int | None,
        Field(ge=1, le=LARGEST),
        Shown(
            Sentence("Items per annotator"),
            Sentence("In a round, at most; empty: no limit."),
            is_rare=True,
        ),
    ] = None
    max_skips: Annotated[
        int | None,
        Field(ge=1, le=100),
        Shown(
            Sentence("Set aside after skips"),
            Sentence("Of one item; empty: when nobody is left to judge it and all else is done."),
            is_rare=True,
        ),
    ] = None
    check_share: Annotated[
        float,
        Field(ge=0, le=0.15),
        Shown(
            Sentence("Share of check items"),
            Sentence(
                "Of what a person is handed; 0.05 to 0.15 says whom to trust. Makes use of the "
                "project's check items."
            ),
        ),
    ] = 0.0
    check_floor: Annotated[
        float | None,
        Field(ge=0, le=1),
        Shown(
            Sentence("Lowest check score"),
            Sentence(
                "Whoever is surely below it is named on the page of check items; empty: nobody."
            ),
            is_rare=True,
        ),
    ] = None
    anchor_items: Annotated[
        int,
        Field(ge=0, le=500),
        Shown(
            Sentence("Anchor items"),
            Sentence(
                "Per round, chosen once: their candidates stay the same and are judged again in "
                "every round, so that a better model can be told from people who became milder."
            ),
            is_rare=True,
        ),
    ] = 0
    control: Annotated[
        Literal["none", "permuted"],
        Shown(
            Sentence("Control"),
            # They are shuffled between the candidates of a round.
            Sentence("Permuted shuffles a critic's verdicts: such a loop must not improve."),
            choices={"none": Sentence("none"), "permuted": Sentence("permuted verdicts")},
            is_rare=True,
        ),
    ] = "none"

    @property
    def most_slots(self) -> int:
        """Returns how many annotators an item has on which people go on disagreeing."""
        return max(self.overlap, self.max_overlap or 0)

    @model_validator(mode="after")
    def most_is_not_fewer(self) -> "JudgingSettings":
        if self.max_overlap is not None and self.max_overlap < self.overlap:
            raise ValueError(
                Sentence(
                    "%(n)s annotators judge each item: on disagreement it cannot be %(most)s at "
                    "most.",
                    n=self.overlap,
                    most=self.max_overlap,
                )
            )
        return self


class AdmissionSettings(SettingsModel):
    """Settings of admission: by which votes a candidate is admitted."""

    group = JUDGING

    policy: Annotated[
        Literal["any", "majority", "unanimous", "at_least", "dawid_skene", "adjudicated"],
        Shown(
            Sentence("Admitted when"),
            choices={
                "any": Sentence("anybody says it fits"),
                "majority": Sentence("most say it fits"),
                "unanimous": Sentence("all say it fits"),
                "at_least": Sentence("at least t say it fits"),
                "dawid_skene": Sentence("it probably fits, people weighed by Dawid–Skene"),
                "adjudicated": Sentence("all say it fits or, where they differ, an adjudicator"),
            },
        ),
    ] = "majority"
    threshold: Annotated[
        int,
        Field(ge=1, le=20),
        Shown(Sentence("Votes t"), Sentence("Only for “at least t say it fits”.")),
    ] = 1
    probability: Annotated[
        float,
        Field(ge=0.5, lt=1),
        Shown(
            Sentence("Probability"),
            Sentence(
                "That it fits, at least; only for Dawid–Skene. Wants two or more annotators per "
                "item."
            ),
        ),
    ] = 0.9

    @property
    def weighs_people(self) -> bool:
        """Whether the policy must know who said what; the others count votes."""
        return self.policy == "dawid_skene"

    @property
    def waits_for_adjudicators(self) -> bool:
        """Whether a round that closes by itself waits until every disputed item is decided."""
        return self.policy == "adjudicated"

    @property
    def name(self) -> str:
        """Returns the policy with its parameter in one word, as admissions and releases name it."""
        match self.policy:
            case "at_least":
                return f"at_least_{self.threshold}"
            case "dawid_skene":
                return f"dawid_skene_{self.probability:g}"
            case _:
                return self.policy
