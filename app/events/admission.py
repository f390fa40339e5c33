"""Events of admission: what adjudicators decide of items on which people differ."""

from typing import ClassVar

from app.events.dataset import ItemEvent
from app.kit.sentences import Sentence


class ItemAdjudicated(ItemEvent):
    """An adjudicator decided which of the rationales that people differ on fit."""

    tag: ClassVar[str] = "item:adjudicated"
    n_fits: int
    n_misfits: int

    def describe(self) -> str:
        return Sentence(
            "Item %(id)s was adjudicated: %(n_fits)s fit, %(n_misfits)s do not",
            id=self.item_id,
            n_fits=self.n_fits,
            n_misfits=self.n_misfits,
        )


class AdjudicationUndone(ItemEvent):
    """An adjudicator took back what was decided of an item."""

    tag: ClassVar[str] = "item:adjudication:undone"

    def describe(self) -> str:
        return Sentence("The adjudication of item %(id)s was taken back", id=self.item_id)
