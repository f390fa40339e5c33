"""Counts the figures of a release's card while its rows are made."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.lifecycle import UserKind
from app.models import Json
from app.queries.releases.items import ItemSource
from app.queries.releases.judgements import JudgementSource, VerdictSource

AUTHOR_ERASED = "the person who wrote it was erased"
"""The reason of a tombstone for a corrected text whose author is gone."""


@dataclass
class Agreement:
    """Counts what two or more people judged in one round, and where all of them said the same."""

    n: int = 0
    n_same: int = 0

    def add(self, answers: Sequence[object]) -> None:
        if len(answers) > 1:
            self.n += 1
            self.n_same += len(set(answers)) == 1

    def as_dict(self) -> Json:
        share = round(self.n_same / self.n, 6) if self.n else None
        return {"n": self.n, "n_same": self.n_same, "share": share}


@dataclass
class Figures:
    """Counters of one release; people and critics stay apart."""

    counts: Counter[str] = field(default_factory=Counter)
    rationales_per_split: Counter[str] = field(default_factory=Counter)
    people: Counter[str] = field(default_factory=Counter)
    critics: Counter[str] = field(default_factory=Counter)
    people_faults: Counter[str] = field(default_factory=Counter)
    critic_faults: Counter[str] = field(default_factory=Counter)
    on_candidates: Agreement = field(default_factory=Agreement)
    on_items: Agreement = field(default_factory=Agreement)
    images: set[str] = field(default_factory=set)
    annotator_ids: set[int] = field(default_factory=set)
    critic_names: set[str] = field(default_factory=set)
    counted_ms: int = 0

    def add_candidate(
        self, payload: Json, verdicts: Sequence[tuple[JudgementSource, VerdictSource]]
    ) -> None:
        self.counts["candidates"] += 1
        if payload["kind"] == "rationale":
            self.counts["rationales"] += 1
            self.rationales_per_split[payload["split"]] += 1
        if payload.get("merged_by_older_rule"):
            self.counts["merged"] += 1
            self.counts["merged_draws"] += payload["n_draws"]
        self.counts["cut"] += "is_cut" in payload
        decided = payload.get("adjudications", ())
        self.counts["adjudicated"] += bool(decided)
        self.counts["adjudicated_fits"] += any(one["fits"] for one in decided)
        self.counts["traces"] += "trace" in payload
        self.counts["marks"] += len(payload.get("marks", ()))
        self.counts["corrections"] += len(payload.get("corrections", ()))
        self.counts["branches"] += len(payload.get("branches", ()))
        self.counts["looks"] += "looks" in payload
        self.counts["boxes"] += len(payload.get("boxes", ()))
        by_round: dict[int, list[bool]] = {}
        for judgement, verdict in verdicts:
            is_person = judgement.user_kind is UserKind.PERSON
            (self.people_faults if is_person else self.critic_faults).update(verdict.faults)
            (self.people if is_person else self.critics)["verdicts"] += 1
            if is_person:
                by_round.setdefault(judgement.round_number, []).append(verdict.fits)
        for answers in by_round.values():
            self.on_candidates.add(answers)

    def add_written(self) -> None:
        self.counts["written"] += 1

    def add_tombstone(self, payload: Json) -> None:
        self.counts["erased"] += payload["reason"] == AUTHOR_ERASED

    def add_item(
        self,
        source: ItemSource,
        judgements: Sequence[JudgementSource],
        fitting: Mapping[int, set[int]],
        n_rationales: int,
    ) -> None:
        self.counts["items"] += 1
        self.counts["items_with_rationale"] += n_rationales > 0
        self.counts["items_in_doubt"] += source.is_set_aside
        self.images.add(source.item.image_sha256)
        by_round: dict[int, list[object]] = {}
        for judgement in judgements:
            is_person = judgement.user_kind is UserKind.PERSON
            counter = self.people if is_person else self.critics
            counter["judgements"] += 1
            counter["none_fits"] += judgement.opinion.none_fits
            counter["answer_is_wrong"] += judgement.opinion.answer_is_wrong
            if not is_person:
                self.critic_names.add(judgement.user_name.removeprefix("critic "))
                continue
            self.annotator_ids.add(judgement.user_id)
            self.counted_ms += judgement.counted_ms
            votes = (judgement.opinion.answer_is_wrong, frozenset(fitting[judgement.id]))
            by_round.setdefault(judgement.round_number, []).append(votes)
        for answers in by_round.values():
            self.on_items.add(answers)

    def as_dict(self) -> Json:
        return {
            "rationales": self.counts["rationales"],
            "rationales_per_split": dict(sorted(self.rationales_per_split.items())),
            "candidates": self.counts["candidates"],
            "items": self.counts["items"],
            "items_with_rationale": self.counts["items_with_rationale"],
            "items_in_doubt": self.counts["items_in_doubt"],
            "images": len(self.images),
            # A release without such texts has the card that it always had.
            **({"written": self.counts["written"]} if self.counts["written"] else {}),
            **({"erased": self.counts["erased"]} if self.counts["erased"] else {}),
            **({"cut": self.counts["cut"]} if self.counts["cut"] else {}),
            **self._adjudicated(),
            **{
                name: self.counts[name]
                for name in ("traces", "marks", "corrections", "branches", "looks", "boxes")
                if self.counts[name]
            },
            **self._merged(),
            "people": {
                "annotators": len(self.annotator_ids),
                **_said(self.people),
                "faults": dict(sorted(self.people_faults.items())),
                "active_minutes": round(self.counted_ms / 60_000, 1),
            },
            "critics": {
                "names": sorted(self.critic_names),
                **_said(self.critics),
                "faults": dict(sorted(self.critic_faults.items())),
            },
            "agreement": {
                "on_candidates": self.on_candidates.as_dict(),
                "on_items": self.on_items.as_dict(),
            },
        }

    def _adjudicated(self) -> Json:
        if not self.counts["adjudicated"]:
            return {}
        counts = {"candidates": self.counts["adjudicated"], "fit": self.counts["adjudicated_fits"]}
        return {"adjudicated": counts}

    def _merged(self) -> Json:
        if not self.counts["merged"]:
            return {}
        counts = {"candidates": self.counts["merged"], "draws": self.counts["merged_draws"]}
        return {"merged_by_older_rule": counts}


def _said(counter: Counter[str]) -> dict[str, int]:
    names = ("judgements", "verdicts", "none_fits", "answer_is_wrong")
    return {name: counter[name] for name in names}
