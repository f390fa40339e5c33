"""Events of the dataset: imports, and what becomes of single items."""

from typing import Any, ClassVar

from app.events.base import BaseEvent
from app.kit.sentences import Amount, CountedSentence, Sentence


class ImportFinished(BaseEvent):
    """An import stored items and images in a project."""

    tag: ClassVar[str] = "dataset:import:finished"
    n_added: int
    n_updated: int
    n_images: int
    n_pictures: int | None = None
    """How many of the images have no question."""

    def describe(self) -> str:
        if self.n_pictures:
            return Sentence(
                "Import finished: %(added)s added, %(updated)s changed, %(images)s stored, "
                "%(pictures)s without questions",
                added=CountedSentence("%(n)s item", "%(n)s items", n=self.n_added),
                updated=CountedSentence("%(n)s item", "%(n)s items", n=self.n_updated),
                images=CountedSentence("%(n)s image", "%(n)s images", n=self.n_images),
                pictures=Amount(self.n_pictures),
            )
        return Sentence(
            "Import finished: %(added)s added, %(updated)s changed, %(images)s stored",
            added=CountedSentence("%(n)s item", "%(n)s items", n=self.n_added),
            updated=CountedSentence("%(n)s item", "%(n)s items", n=self.n_updated),
            images=CountedSentence("%(n)s image", "%(n)s images", n=self.n_images),
        )


class PriorImported(BaseEvent):
    """A file became the prior of a project; `n_removed` episodes of the one before it went."""

    tag: ClassVar[str] = "prior:imported"
    n_episodes: int
    n_items: int
    n_removed: int = 0

    def describe(self) -> str:
        return Sentence(
            "The prior was imported: %(episodes)s of %(items)s",
            episodes=CountedSentence("%(n)s episode", "%(n)s episodes", n=self.n_episodes),
            items=CountedSentence("%(n)s item", "%(n)s items", n=self.n_items),
        )


class PriorRemoved(BaseEvent):
    """All episodes were taken out of a project's prior."""

    tag: ClassVar[str] = "prior:removed"
    n_episodes: int

    def describe(self) -> str:
        return Sentence(
            "The prior was removed: %(episodes)s",
            episodes=CountedSentence("%(n)s episode", "%(n)s episodes", n=self.n_episodes),
        )


class ItemEvent(BaseEvent):
    """Shared by the events of one item, which its page lists; their tags begin with `PREFIX`."""

    PREFIX: ClassVar[str] = "item:"

    item_id: int


class ItemExcluded(ItemEvent):
    """An item was excluded: no round takes it any more."""

    tag: ClassVar[str] = "item:excluded"
    reason: str

    def describe(self) -> str:
        return Sentence("Excluded: %(reason)s", reason=self.reason)


class ItemIncluded(ItemEvent):
    """An excluded item was taken back in."""

    tag: ClassVar[str] = "item:included"

    def describe(self) -> str:
        return Sentence("Included again")


class ItemCorrected(ItemEvent):
    """The wording of an item was corrected.

    Where work had been done under the old wording, the item is a new one, and `replaced_id` is the
    one that it stands for.
    """

    tag: ClassVar[str] = "item:corrected"
    old: dict[str, Any]
    version: int
    replaced_id: int | None = None

    def describe(self) -> str:
        return Sentence(
            "Corrected; it was “%(question)s” – “%(answer)s”",
            question=self.old.get("question", ""),
            answer=self.old.get("answer", ""),
        )


class ItemReplaced(ItemEvent):
    """A judged item was corrected: another item holds the new wording."""

    tag: ClassVar[str] = "item:replaced"
    replacement_id: int

    def describe(self) -> str:
        return Sentence("Replaced by its correction")


class ItemContentChanged(ItemEvent):
    """An import changed an item; `old` and `new` hold the fields that differ."""

    tag: ClassVar[str] = "item:content:changed"
    external_id: str
    version: int
    old: dict[str, Any]
    new: dict[str, Any]

    def describe(self) -> str:
        return Sentence("Changed by an import")


class ItemSlotAdded(ItemEvent):
    """People disagreed about an item of a round, so one more person is asked: `slots` in all."""

    tag: ClassVar[str] = "item:slot:added"
    slots: int

    def describe(self) -> str:
        return Sentence(
            "People disagree about an item, so one more is asked: %(slots)s in all",
            slots=self.slots,
        )
