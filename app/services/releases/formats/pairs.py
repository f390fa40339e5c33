"""Which of two texts is the better one, and by whose word.

Both texts of a pair were judged by the same person, or by the same policy in one round. Texts that
people wrote are in no pair: nobody judged them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.lifecycle import DecidedBy, RoundStatus, UserKind
from app.models import Json
from app.round_settings import Judges

CANDIDATES = ("rationale", "candidate")


@dataclass(frozen=True)
class Word:
    """Who says something, and how often it was said: `judge` is empty where several did. n_for:
    judges who say so; n_against: those who say the opposite."""

    round: int
    judge: str
    judge_kind: str
    policy: str
    n_for: int
    n_against: int


@dataclass(frozen=True)
class Pair:
    """Two judged texts of one item, the better one first."""

    chosen: Json
    rejected: Json
    word: Word


@dataclass(frozen=True)
class Label:
    """A judged text, and whether it fits."""

    text: Json
    fits: bool
    word: Word


Policies = Mapping[tuple[int, str], str]
"""The policy by the round that it decided in and the kind of judges whose votes it read."""


def policies_of(release: Json) -> Policies:
    """Returns the policies that decided on everything that their rounds judged.

    A cancelled round may have ended before: of it, only what it admitted tells of a decision.
    """
    return {
        (round_["number"], _kind_of(round_)): round_["policy"]
        for round_ in release["rounds"]
        if round_["status"] != RoundStatus.CANCELLED
    }


def _kind_of(round_: Json) -> str:
    return UserKind.PERSON if Judges(round_["judges"]).are_people else UserKind.CRITIC


def list_pairs(texts: Sequence[Json], by: DecidedBy, policies: Policies) -> list[Pair]:
    """Returns the pairs of one item's judged texts, in a fixed order. texts: its rows."""
    candidates = [text for text in texts if text["kind"] in CANDIDATES]
    match by:
        case DecidedBy.JUDGEMENT:
            return list(_pairs_of_judgements(candidates))
        case DecidedBy.AGREED:
            return list(_agreed_pairs(candidates))
        case DecidedBy.POLICY:
            return list(_pairs_of_policies(candidates, _policies(candidates, policies)))


def list_labels(texts: Sequence[Json], by: DecidedBy, policies: Policies) -> list[Label]:
    """Returns what is said of each of one item's judged texts alone, in a fixed order."""
    candidates = [text for text in texts if text["kind"] in CANDIDATES]
    match by:
        case DecidedBy.JUDGEMENT:
            return [
                Label(text, verdict["fits"], _word_of(verdict))
                for text in candidates
                for verdict in text["verdicts"]
            ]
        case DecidedBy.AGREED:
            return [label for text in candidates for label in _agreed_label(text)]
        case DecidedBy.POLICY:
            decided = _decided(candidates, _policies(candidates, policies))
            return [Label(text, fits, word) for text, fits, word in decided]


# --- One judgement --------------------------------------------------------------------------


def _pairs_of_judgements(candidates: Sequence[Json]) -> Iterator[Pair]:
    """What one judge picked beside what the same judge did not, in one judgement."""
    said: dict[tuple[int, str, str], list[tuple[Json, Json]]] = defaultdict(list)
    for text in candidates:
        for verdict in text["verdicts"]:
            place = (verdict["round"], verdict["judge_kind"], verdict["judge"])
            said[place].append((text, verdict))
    for _, entries in sorted(said.items(), key=lambda entry: entry[0]):
        for chosen, verdict in entries:
            for rejected, other in entries:
                if verdict["fits"] and not other["fits"]:
                    yield Pair(chosen, rejected, _word_of(verdict))


def _word_of(verdict: Json) -> Word:
    return Word(verdict["round"], verdict["judge"], verdict["judge_kind"], "", 1, 0)


# --- All who judged -------------------------------------------------------------------------


def _agreed_pairs(candidates: Sequence[Json]) -> Iterator[Pair]:
    """Where somebody prefers a text and nobody who judged both of them the other."""
    said = [_verdicts_of(text) for text in candidates]
    for chosen, of_chosen in zip(candidates, said, strict=True):
        for rejected, of_rejected in zip(candidates, said, strict=True):
            shared = _kind_first(of_chosen.keys() & of_rejected.keys())
            n_for = sum(of_chosen[one] and not of_rejected[one] for one in shared)
            n_against = sum(of_rejected[one] and not of_chosen[one] for one in shared)
            if n_for and not n_against:
                yield Pair(chosen, rejected, _word_of_all(shared, n_for))


def _agreed_label(text: Json) -> Iterator[Label]:
    said = _verdicts_of(text)
    shared = _kind_first(said.keys())
    if shared and len({said[one] for one in shared}) == 1:
        yield Label(text, said[shared[0]], _word_of_all(shared, len(shared)))


def _verdicts_of(text: Json) -> dict[tuple[int, str, str], bool]:
    return {
        (verdict["round"], verdict["judge_kind"], verdict["judge"]): verdict["fits"]
        for verdict in text["verdicts"]
    }


def _kind_first(places: Iterable[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    """People, where any of them judged; critics only where none did."""
    people = sorted(place for place in places if place[1] == UserKind.PERSON)
    return people or sorted(places)


def _word_of_all(shared: Sequence[tuple[int, str, str]], n_for: int) -> Word:
    last = max(shared)
    return Word(last[0], "", last[1], "", n_for, 0)


# --- The policy of a round ------------------------------------------------------------------


def _policies(candidates: Sequence[Json], policies: Policies) -> Policies:
    here = {
        (admission["round"], admission["judge_kind"]): admission["policy"]
        for text in candidates
        for admission in text["admissions"]
    }
    return {**policies, **here}


def _pairs_of_policies(candidates: Sequence[Json], policies: Policies) -> Iterator[Pair]:
    """What a round's policy admitted beside what it read votes on and did not admit."""
    seen = set()
    for place, policy in sorted(policies.items()):
        decided = list(_decided(candidates, {place: policy}))
        for chosen, is_better, word in decided:
            for rejected, fits, _ in decided:
                pair = (chosen["row_id"], rejected["row_id"])
                if is_better and not fits and pair not in seen:
                    seen.add(pair)
                    yield Pair(chosen, rejected, word)


def _decided(candidates: Sequence[Json], policies: Policies) -> Iterator[tuple[Json, bool, Word]]:
    """What policies decided on texts; one that another round admitted is not called a misfit."""
    for text in candidates:
        for (round_, kind), policy in sorted(policies.items()):
            admitted = [one for one in text["admissions"] if _place_of(one) == (round_, kind)]
            votes = [vote["fits"] for vote in text["verdicts"] if _place_of(vote) == (round_, kind)]
            if admitted:
                entry = admitted[0]
                n_against = entry["n_votes"] - entry["n_fits"]
                yield text, True, Word(round_, "", kind, policy, entry["n_fits"], n_against)
                break
            if votes and not text["admissions"]:
                n_fits = sum(votes)
                yield text, False, Word(round_, "", kind, policy, len(votes) - n_fits, n_fits)
                break


def _place_of(entry: Json) -> tuple[int, str]:
    return entry["round"], entry["judge_kind"]
