"""Decides what an import does with each row before anything is written."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from app.kit.sentences import CountedSentence, Sentence
from app.lifecycle import Split
from app.models import Item, Project, ProjectImage
from app.queries.dataset import imports as queries
from app.services.dataset.formats.pictures import name_some
from app.services.dataset.formats.problems import Problems
from app.services.dataset.formats.reading import ParsedDataset, ParsedItem, ParsedPicture


@dataclass(frozen=True)
class Plan:
    """The decisions of an import about each row, made before anything is written."""

    added: list[ParsedItem]
    updated: list[tuple[Item, ParsedItem]]
    unchanged: list[ParsedItem]
    changed: list[str]
    refused: list[str]
    splits: dict[str, Split]
    """The split of every image of the file."""
    known: Mapping[str, ProjectImage]
    pictures: list[ParsedPicture] = field(default_factory=list)
    """Pictures without a question that are new here."""
    retold: list[tuple[ProjectImage, ParsedPicture]] = field(default_factory=list)
    """Those that are here, whose facts are written anew."""
    notes: list[Sentence] = field(default_factory=list)


def make_plan(session: Session, project: Project, parsed: ParsedDataset, *, update: bool) -> Plan:
    ids = [item.row.external_id for item in parsed.items]
    existing = queries.find_items_by_external_id(session, project.id, ids)
    known = queries.find_project_images(session, project.id, list(parsed.images))
    problems = Problems()
    splits = _decide_splits(parsed, existing, known, problems)
    plan = Plan([], [], [], [], [], splits, known)
    differing: list[tuple[Item, ParsedItem]] = []
    for item in parsed.items:
        old = existing.get(item.row.external_id)
        if old is None:
            _check_not_withdrawn(item, known, problems)
            plan.added.append(item)
        elif not differences(old, item):
            plan.unchanged.append(item)
        else:
            if splits[item.image_sha256] is not old.split:
                problems.add(
                    item.row.place,
                    Sentence(
                        "the item %(item)s is in split %(split)s, but its new image is in split "
                        "%(other)s. Give the row a new id",
                        item=old.external_id,
                        split=str(old.split),
                        other=str(splits[item.image_sha256]),
                    ),
                )
            _check_not_withdrawn(item, known, problems)
            differing.append((old, item))
    _plan_pictures(plan, parsed, problems, update=update)
    problems.raise_if_any()
    _sort_out_changes(session, plan, differing, update=update)
    _note_same_names(session, project, plan)
    return plan


def _plan_pictures(plan: Plan, parsed: ParsedDataset, problems: Problems, *, update: bool) -> None:
    """A picture that the project has already stays what it is; other facts of it wait for
    `update`."""
    for picture in parsed.pictures:
        image = plan.known.get(picture.image_sha256)
        _check_not_withdrawn(picture, plan.known, problems)
        if image is None:
            plan.pictures.append(picture)
        elif picture.row.facts is not None and picture.row.facts != image.facts:
            if update:
                plan.retold.append((image, picture))
            else:
                plan.changed.append(picture.row.images[0])


def _note_same_names(session: Session, project: Project, plan: Plan) -> None:
    names = [picture.row.images[0] for picture in plan.pictures]
    taken = sorted(queries.list_image_names(session, project.id, names))
    if taken:
        plan.notes.append(
            CountedSentence(
                "%(n)s picture has the name of another one that is here already; both are kept: "
                "%(names)s",
                "%(n)s pictures have the names of others that are here already; all are kept: "
                "%(names)s",
                n=len(taken),
                names=name_some(taken),
            )
        )


def _decide_splits(
    parsed: ParsedDataset,
    existing: Mapping[str, Item],
    known: Mapping[str, ProjectImage],
    problems: Problems,
) -> dict[str, Split]:
    """An image has the split of the project, else the file's, else that of the item whose picture
    it replaces, else one by its hash."""
    replaced: dict[str, Split] = {}
    for item in parsed.items:
        old = existing.get(item.row.external_id)
        if old is not None and old.image_sha256 != item.image_sha256:
            replaced.setdefault(item.image_sha256, old.split)
    splits: dict[str, Split] = {}
    for sha256 in parsed.images:
        named = parsed.splits.get(sha256)
        if sha256 in known:
            splits[sha256] = known[sha256].split
            if named is not None and named[0] is not known[sha256].split:
                problems.add(
                    named[1],
                    Sentence(
                        "the image %(image)s… is in split %(split)s of this project already, but "
                        "this row says %(other)s. An image keeps its split",
                        image=sha256[:12],
                        split=str(known[sha256].split),
                        other=str(named[0]),
                    ),
                )
        elif named is not None:
            splits[sha256] = named[0]
        else:
            splits[sha256] = replaced.get(sha256) or default_split(sha256)
    return splits


def _check_not_withdrawn(
    item: ParsedItem | ParsedPicture, known: Mapping[str, ProjectImage], problems: Problems
) -> None:
    image = known.get(item.image_sha256)
    if image is not None and image.withdrawn_at is not None:
        problems.add(
            item.row.place, Sentence("the image %(image)s was withdrawn", image=item.row.images[0])
        )


def row_content(item: ParsedItem, old: Item | None = None) -> dict[str, Any]:
    """Returns the columns of an item that a row decides; of a row that does not speak of people's
    answers, those of the item that is there stay."""
    answers = item.row.answers
    if answers is None:
        answers = tuple(old.answers) if old else ()
    return {
        "image_sha256": item.image_sha256,
        "question": item.row.question,
        "answer": item.row.answer,
        "gold_rationales": list(item.row.gold_rationales),
        "answers": list(answers),
        "facts": item.row.facts,
    }


def differences(old: Item, item: ParsedItem) -> dict[str, Any]:
    """Returns what a row says otherwise than its item, by column."""
    content = row_content(item, old)
    return {name: value for name, value in content.items() if getattr(old, name) != value}


def _only_adds_answers(old: Item, item: ParsedItem) -> bool:
    """Whether a row brings people's answers to an item without any: what was judged of it stays
    what it was."""
    return not old.answers and differences(old, item).keys() == {"answers"}


def _sort_out_changes(
    session: Session,
    plan: Plan,
    differing: Sequence[tuple[Item, ParsedItem]],
    *,
    update: bool,
) -> None:
    """Decides which differing rows are written, which wait for `update`, and which never are."""
    item_ids = [old.id for old, _ in differing]
    if update:
        queries.lock_items(session, item_ids)
    judged = queries.list_judged_item_ids(session, item_ids)
    busy = queries.list_item_ids_in_open_round(session, item_ids)
    for old, item in differing:
        is_frozen = not _only_adds_answers(old, item)
        if is_frozen and old.id in judged:
            plan.refused.append(
                Sentence("%(item)s: has been judged and is not rewritten", item=old.external_id)
            )
        elif is_frozen and old.id in busy:
            plan.refused.append(
                Sentence("%(item)s: is in a round that is still open", item=old.external_id)
            )
        elif update:
            plan.updated.append((old, item))
        else:
            plan.changed.append(old.external_id)


def default_split(sha256: str) -> Split:
    """Returns the split of an image: 80 % train, 10 % validation, 10 % test, the same on every
    machine.
    """
    share = int(hashlib.sha256(f"split {sha256}".encode()).hexdigest()[:8], 16) / 2**32
    if share < 0.8:
        return Split.TRAIN
    return Split.VALIDATION if share < 0.9 else Split.TEST
