"""The rows of a release: one per rationale, per judged candidate that was not admitted, per text
that a person corrected, and per judged item, each with its whole lineage.

A row holds nothing that changes later and no name of a person: annotators appear under a pseudonym
that only the project's secret connects with their account. What people and critics said is counted
apart everywhere.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.kit.storage import shown_name
from app.lifecycle import AuthorKind, UserKind
from app.models import Json, Project
from app.opinions import REMARKS, Opinion
from app.queries.releases.asked import AskedSource, list_asked
from app.queries.releases.branches import BranchSource, list_branches
from app.queries.releases.candidates import (
    AdjudicationSource,
    AdmissionSource,
    CandidateSource,
    DrawSource,
    TraceSource,
    list_adjudications,
    list_admissions,
    list_candidates,
    list_draws,
    list_traces,
)
from app.queries.releases.items import ItemSource, iterate_judged_items
from app.queries.releases.judgements import (
    JudgementSource,
    VerdictSource,
    WrittenSource,
    list_judgements,
    list_verdicts,
    list_written_rationales,
)
from app.queries.releases.looks import BoxSource, LooksSource, list_boxes, list_looks
from app.queries.releases.turns import TurnSource, list_turns
from app.same_text import is_cut
from app.services.accounts.pseudonyms import pseudonym
from app.services.releases.asked import describe_asked
from app.services.releases.figures import Figures
from app.services.releases.names import public_judge_name, public_model_name
from app.services.releases.turns import (
    describe_boxes,
    describe_branches,
    describe_looks,
    describe_trace,
    describe_turns,
    rounded,
)


@dataclass(frozen=True)
class ReleasedRow:
    item_id: int
    payload: Json


@dataclass(frozen=True)
class _Page:
    """The rows of the database about some items, by item or candidate."""

    judgements: Mapping[int, Sequence[JudgementSource]]
    verdicts: Mapping[int, Sequence[tuple[JudgementSource, VerdictSource]]]
    candidates: Mapping[int, Sequence[CandidateSource]]
    admissions: Mapping[int, Sequence[AdmissionSource]]
    adjudications: Mapping[int, Sequence[AdjudicationSource]]
    draws: Mapping[int, Sequence[DrawSource]]
    traces: Mapping[int, TraceSource]
    turns: Mapping[int, Sequence[tuple[JudgementSource, TurnSource]]]
    branches: Mapping[int, Sequence[tuple[JudgementSource, BranchSource]]]
    looks: Mapping[int, LooksSource]
    boxes: Mapping[int, Sequence[tuple[JudgementSource, BoxSource]]]
    written: Mapping[int, Sequence[tuple[JudgementSource, WrittenSource]]]
    asked: Mapping[int, AskedSource]


def canonical(payload: Json) -> bytes:
    """Returns the one spelling of a content; the content hash is made of these lines."""
    text = json.dumps(
        payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode() + b"\n"


def build_rows(
    session: Session, project: Project, round_ids: Sequence[int], figures: Figures
) -> Iterator[ReleasedRow]:
    """Yields rows in the order of the items' ids and the rationales' texts; `figures`
    counts them.
    """
    for items in iterate_judged_items(session, project.id, round_ids):
        page = _load_page(session, [source.item.id for source in items], round_ids)
        for source in items:
            yield from _rows_of_item(project, source, page, figures)


def _load_page(session: Session, item_ids: Sequence[int], round_ids: Sequence[int]) -> _Page:
    judgements = list_judgements(session, item_ids, round_ids)
    by_id = {judgement.id: judgement for judgement in judgements}
    verdicts = list_verdicts(session, list(by_id))
    admissions = list_admissions(session, item_ids, round_ids)
    candidate_ids = sorted(
        {verdict.candidate_id for verdict in verdicts}
        | {admission.candidate_id for admission in admissions}
    )
    speaking = _that_speak_of_turns(judgements)
    traces = {
        source.candidate_id: source for source in list_traces(session, candidate_ids, round_ids)
    }
    return _Page(
        judgements=_group(judgements, lambda judgement: judgement.item_id),
        verdicts=_group(
            [(by_id[verdict.judgement_id], verdict) for verdict in verdicts],
            lambda pair: pair[1].candidate_id,
        ),
        candidates=_group(
            list_candidates(session, candidate_ids), lambda candidate: candidate.item_id
        ),
        admissions=_group(admissions, lambda admission: admission.candidate_id),
        adjudications=_group(
            list_adjudications(session, item_ids, round_ids), lambda decided: decided.candidate_id
        ),
        draws=_group(list_draws(session, candidate_ids, round_ids), lambda draw: draw.candidate_id),
        traces=traces,
        turns=_group(
            [(by_id[said.judgement_id], said) for said in list_turns(session, speaking)],
            lambda pair: pair[1].candidate_id,
        ),
        branches=_group(
            [
                (by_id[source.branch.judgement_id], source)
                for source in list_branches(session, list(by_id) if traces else [])
            ],
            lambda pair: pair[1].candidate_id,
        ),
        looks={
            source.candidate_id: source for source in list_looks(session, candidate_ids, round_ids)
        },
        boxes=_group(
            [(by_id[one.judgement_id], one) for one in list_boxes(session, speaking)],
            lambda pair: pair[1].candidate_id,
        ),
        written=_group(
            [
                (by_id[written.judgement_id], written)
                for written in list_written_rationales(session, list(by_id))
            ],
            lambda pair: pair[1].item_id,
        ),
        asked={source.item_id: source for source in list_asked(session, item_ids)},
    )


def _that_speak_of_turns(judgements: Iterable[JudgementSource]) -> list[int]:
    """Returns the ids of those judgements; there are none where draws leave no trace."""
    return [one.id for one in judgements if one.opinion.speaks_of_turns]


def _rows_of_item(
    project: Project, source: ItemSource, page: _Page, figures: Figures
) -> Iterator[ReleasedRow]:
    item_id = source.item.id
    judgements = page.judgements.get(item_id, [])
    candidates = sorted(page.candidates.get(item_id, []), key=lambda found: found.text)
    fitting: dict[int, set[int]] = {judgement.id: set() for judgement in judgements}
    n_rationales = 0
    for candidate in candidates:
        verdicts = page.verdicts.get(candidate.id, [])
        for judgement, verdict in verdicts:
            if verdict.fits:
                fitting[judgement.id].add(candidate.id)
        payload = _candidate_row(project, source, candidate, page)
        n_rationales += payload["kind"] == "rationale"
        figures.add_candidate(payload, verdicts)
        yield ReleasedRow(item_id, payload)
    for judgement, written in page.written.get(item_id, []):
        figures.add_written()
        yield ReleasedRow(item_id, _written_row(project, source, judgement, written))
    figures.add_item(source, judgements, fitting, n_rationales)
    yield ReleasedRow(
        item_id, _item_row(project, source, judgements, n_rationales, page.asked.get(item_id))
    )


def _about_item(source: ItemSource) -> Json:
    item = source.item
    return {
        "item": item.external_id,
        "item_version": item.version,
        "image": item.image_sha256,
        "image_file": shown_name(item.image_sha256, source.media_type),
        "image_name": item.image_name,
        "split": item.split.value,
        "question": item.question,
        "answer": item.answer,
    }


def _candidate_row(
    project: Project, source: ItemSource, candidate: CandidateSource, page: _Page
) -> Json:
    admissions = page.admissions.get(candidate.id, [])
    drawn = page.draws.get(candidate.id, [])
    draws = [_draw(draw) for draw in drawn]
    verdicts = page.verdicts.get(candidate.id, [])
    is_released = bool(admissions) and not source.is_set_aside
    author = pseudonym(project, candidate.author_id) if candidate.author_id else None
    return {
        "kind": "rationale" if is_released else "candidate",
        "row_id": row_id(source.item.external_id, candidate.text),
        **_about_item(source),
        "rationale": candidate.text,
        "author_kind": candidate.author_kind.value,
        "author": author,
        "first_draw": draws[0] if draws else None,
        "n_draws": len(draws),
        "draws": draws,
        # Said only of those that it is true of, so that other rows stay as they always were.
        **({"merged_by_older_rule": True} if _may_be_merged(candidate, draws) else {}),
        **({"is_cut": True} if is_cut(draw.is_cut for draw in drawn) else {}),
        **({"trace": describe_trace(trace)} if (trace := page.traces.get(candidate.id)) else {}),
        **({"looks": describe_looks(looks)} if (looks := page.looks.get(candidate.id)) else {}),
        **describe_turns(project, page.turns.get(candidate.id, [])),
        **describe_boxes(project, page.boxes.get(candidate.id, [])),
        **describe_branches(project, page.branches.get(candidate.id, [])),
        **_count_votes(verdicts),
        "verdicts": sorted(
            (_verdict(project, judgement, verdict) for judgement, verdict in verdicts),
            key=lambda verdict: (verdict["round"], verdict["judge_kind"], verdict["judge"]),
        ),
        "admissions": [
            {
                "round": admission.round_number,
                "policy": admission.policy,
                "judge_kind": admission.judge_kind.value,
                "n_fits": admission.n_fits,
                "n_votes": admission.n_votes,
                **({} if admission.probability is None else {"probability": admission.probability}),
                **({"adjudicated": True} if admission.is_adjudicated else {}),
            }
            for admission in admissions
        ],
        **_adjudications(page.adjudications.get(candidate.id, [])),
    }


def _adjudications(decided: Sequence[AdjudicationSource]) -> Json:
    """What adjudicators decided, beside the votes; nothing where they decided nothing."""
    if not decided:
        return {}
    return {"adjudications": [{"round": one.round_number, "fits": one.fits} for one in decided]}


def _may_be_merged(candidate: CandidateSource, draws: Sequence[Json]) -> bool:
    """Whether draws of a text that differs in marks, signs or symbols may be counted here."""
    return candidate.key_version == 1 and len(draws) > 1


def _written_row(
    project: Project, source: ItemSource, judgement: JudgementSource, written: WrittenSource
) -> Json:
    """A person's text: a row of its own kind, so that nobody takes it for the model's."""
    author = public_judge_name(project, judgement)
    place = (source.item.external_id, "written", written.candidate_text)
    return {
        "kind": "written",
        "row_id": row_id(*place, author, str(judgement.round_number)),
        **_about_item(source),
        "rationale": written.text,
        "author_kind": AuthorKind.PERSON.value,
        "author": author,
        "corrects": written.candidate_text,
        "round": judgement.round_number,
        "guidelines_version": judgement.guidelines_version,
    }


def _draw(draw: DrawSource) -> Json:
    return {
        "round": draw.round_number,
        "base_model": public_model_name(draw.base_model),
        "base_revision": draw.base_revision,
        "adapter": draw.adapter_digest,
        "strategy": draw.strategy,
        # Not `prompt`: trl takes a column of that name for the whole of what the model is asked.
        "opener": draw.prompt,
        "temperature": draw.temperature,
        "number": draw.number,
        "seed": draw.seed,
        "log_probability": rounded(draw.log_probability),
        # Nobody knows it of older draws, and their rows stay as they always were.
        **({} if draw.is_cut is None else {"is_cut": draw.is_cut}),
    }


def _verdict(project: Project, judgement: JudgementSource, verdict: VerdictSource) -> Json:
    return {
        "round": judgement.round_number,
        "judge": public_judge_name(project, judgement),
        "judge_kind": judgement.user_kind.value,
        "fits": verdict.fits,
        "position": verdict.position,
        "n_shown": judgement.n_shown,
        "faults": verdict.faults,
        "guidelines_version": judgement.guidelines_version,
    }


def _count_votes(verdicts: Iterable[tuple[JudgementSource, VerdictSource]]) -> dict[str, int]:
    counts = {"people_fits": 0, "people_votes": 0, "critic_fits": 0, "critic_votes": 0}
    for judgement, verdict in verdicts:
        kind = "people" if judgement.user_kind is UserKind.PERSON else "critic"
        counts[f"{kind}_votes"] += 1
        counts[f"{kind}_fits"] += verdict.fits
    return counts


def _item_row(
    project: Project,
    source: ItemSource,
    judgements: Sequence[JudgementSource],
    n_rationales: int,
    asked: AskedSource | None,
) -> Json:
    entries: list[Json] = [
        {
            "round": judgement.round_number,
            "judge": public_judge_name(project, judgement),
            "judge_kind": judgement.user_kind.value,
            "outcome": outcome(judgement.opinion),
            "n_picked": len(judgement.opinion.picked),
            "n_shown": judgement.n_shown,
            **_remarks(judgement.opinion),
            "guidelines_version": judgement.guidelines_version,
        }
        for judgement in judgements
    ]
    return {
        "kind": "item",
        "row_id": row_id(source.item.external_id),
        **_about_item(source),
        "gold_rationales": source.item.gold_rationales,
        # Items without any stay as they were in earlier releases.
        **({"answers": source.item.answers} if source.item.answers else {}),
        "facts": source.item.facts,
        # Other items stay as they were in earlier releases.
        **({"asked": describe_asked(project, asked)} if asked else {}),
        "n_rationales": n_rationales,
        "answer_is_in_doubt": source.is_set_aside,
        "judgements": sorted(
            entries, key=lambda entry: (entry["round"], entry["judge_kind"], entry["judge"])
        ),
    }


def outcome(opinion: Opinion) -> str:
    """Returns which of three different facts, that a data set must not mix, an opinion states."""
    if opinion.answer_is_wrong:
        return "answer_is_wrong"
    return "none_fits" if opinion.none_fits else "picked"


def _remarks(opinion: Opinion) -> dict[str, bool]:
    """Flags are said of every judgement; other remarks of those that have them, as they are newer.

    So rows of judgements without them stay as they always were.
    """
    made = {name: True for name in REMARKS if getattr(opinion, name)}
    return {"is_flagged": opinion.is_flagged, **made}


def row_id(*parts: str) -> str:
    """Returns the id of a row: the same in every release of every copy of the project."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


def _group(values: Iterable[Any], key: Any) -> Mapping[int, Any]:
    groups: dict[int, list[Any]] = defaultdict(list)
    for value in values:
        groups[key(value)].append(value)
    return groups
