"""The prior of a project: imported episodes about its train items, which a monologue learns from.

A file is the whole prior: it takes the place of the one before. It is checked as a whole first, and
then either all of it is stored or nothing. Nothing held out gets in; the table refuses it as well.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from app.events.dataset import PriorImported, PriorRemoved
from app.kit.sentences import Sentence
from app.lifecycle import Split
from app.models import Item, Json, Project, User
from app.queries.dataset import imports as import_queries
from app.queries.dataset import prior as queries
from app.queries.dataset.prior import EpisodeKey
from app.same_text import is_same_answer
from app.services.archived import require_open
from app.services.dataset.formats.episodes import EpisodeLine, read_episodes
from app.services.dataset.formats.problems import Problems
from app.services.dataset.formats.sources import SourceFile, check_file
from app.services.events import record
from app.services.refusals import ImportUnderWay, WrongFile


@dataclass(frozen=True)
class PriorReport:
    """The report of an import of a prior, for people and for `--json`."""

    n_episodes: int
    n_items: int
    n_added: int
    n_unchanged: int
    n_removed: int
    """Episodes of the prior before that this file does not hold."""
    n_without_turns: int
    n_without_rationale: int

    def as_dict(self) -> Json:
        return asdict(self)

    def as_lines(self) -> list[str]:
        """Returns the report as lines for a terminal."""
        if not self.n_added and not self.n_removed:
            first = "Nothing changed: the prior is what this file holds"
        else:
            first = (
                f"The prior: {self.n_added:,} added, {self.n_unchanged:,} unchanged, "
                f"{self.n_removed:,} removed"
            )
        lines = [f"{first}: {self.n_episodes:,} episodes of {self.n_items:,} items."]
        if self.n_without_turns:
            lines.append(
                f"Note: {self.n_without_turns:,} episodes answer without a look; by the setting "
                "monologue.needs_a_look they teach the reasoner nothing."
            )
        if self.n_without_rationale:
            lines.append(
                f"Note: {self.n_without_rationale:,} episodes have no rationale: looks and answers "
                "are learned of them."
            )
        return lines


def read_prior(path: Path) -> list[EpisodeLine]:
    """Returns the episodes of a file. Raises InvalidInput with one line per problem."""
    problems = Problems()
    check_file(SourceFile(path, path.name, ()))
    with path.open("rb") as stream:
        lines = list(read_episodes(stream, path.name, problems))
    problems.raise_if_any()
    if not lines:
        raise WrongFile(
            Sentence("Nothing was imported: there are no episodes in %(file)s.", file=path.name)
        )
    return lines


def import_prior(
    session: Session, project: Project, lines: Sequence[EpisodeLine], *, actor: User | None
) -> PriorReport:
    """Make these episodes the project's prior, in place of the one that it has.

    Raises InvalidInput with one line per problem, before anything is written, and Conflict while
    another import into the project runs.
    """
    _begin(session, project)
    items = import_queries.find_items_by_external_id(
        session, project.id, sorted({line.external_id for line in lines})
    )
    wanted = _check(lines, items)
    present = queries.find_episodes(session, project.id)
    gone = [id_ for key, id_ in present.items() if key not in wanted]
    # First those that go: an episode of an item that was reworded makes room for itself.
    queries.remove_episodes(session, gone)
    added = {key: line for key, line in wanted.items() if key not in present}
    queries.insert_episodes(session, [_row(project, key, line) for key, line in added.items()])
    report = PriorReport(
        n_episodes=len(wanted),
        n_items=len({item_id for item_id, _, _ in wanted}),
        n_added=len(added),
        n_unchanged=len(wanted) - len(added),
        n_removed=len(gone),
        n_without_turns=sum(not line.turns for line in lines),
        n_without_rationale=sum(line.rationale is None for line in lines),
    )
    if added or gone:
        record(
            session,
            PriorImported(
                n_episodes=report.n_episodes, n_items=report.n_items, n_removed=report.n_removed
            ),
            project_id=project.id,
            actor=actor,
        )
    return report


def remove_prior(session: Session, project: Project, *, actor: User | None) -> int:
    """Take all episodes out of the project's prior; returns how many there were.

    A training that is under way goes on with those that it was planned with.
    """
    _begin(session, project)
    present = queries.find_episodes(session, project.id)
    queries.remove_episodes(session, list(present.values()))
    if present:
        removed = PriorRemoved(n_episodes=len(present))
        record(session, removed, project_id=project.id, actor=actor)
    return len(present)


def _begin(session: Session, project: Project) -> None:
    require_open(project)
    if not import_queries.try_lock_import(session, project.id):
        raise ImportUnderWay(
            Sentence("Another import into this project is running. Try again when it is done.")
        )


def _check(
    lines: Sequence[EpisodeLine], items: Mapping[str, Item]
) -> dict[EpisodeKey, EpisodeLine]:
    """The episodes by their keys. Raises InvalidInput with all that is wrong."""
    problems = Problems()
    found: dict[EpisodeKey, EpisodeLine] = {}
    for line in lines:
        item = items.get(line.external_id)
        if item is None:
            fault = Sentence(
                "names the item %(item)s, which this project does not have", item=line.external_id
            )
            problems.add(line.place, fault)
            continue
        if (wrong := _find_fault(line, item)) is not None:
            problems.add(line.place, wrong)
            continue
        first = found.setdefault((item.id, _content_key(line), item.version), line)
        if first is not line:
            same = Sentence("says the same as %(place)s", place=first.place.sentence())
            problems.add(line.place, same)
    problems.raise_if_any()
    return found


def _find_fault(line: EpisodeLine, item: Item) -> Sentence | None:
    """What speaks against training on an episode of this item."""
    if item.split is not Split.TRAIN:
        return Sentence(
            "names the item %(item)s, which is held out: it and all items of its image are in "
            "split %(split)s, and a model learns from train items alone",
            item=line.external_id,
            split=str(item.split),
        )
    if not is_same_answer(line.answer, item.answer):
        return Sentence(
            "answers “%(answer)s”, but the answer of the item %(item)s is “%(right)s”",
            answer=line.answer,
            item=line.external_id,
            right=item.answer,
        )
    return None


def _content_key(line: EpisodeLine) -> str:
    """Two episodes of an item that differ in one letter are two; a model learns them to the
    letter."""
    turns = [[turn.asked, turn.observed] for turn in line.turns]
    text = json.dumps([turns, line.answer, line.rationale], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _row(project: Project, key: EpisodeKey, line: EpisodeLine) -> Json:
    item_id, content_key, version = key
    return {
        "project_id": project.id,
        "item_id": item_id,
        "item_version": version,
        "turns": [turn.model_dump(mode="json") for turn in line.turns],
        "answer": line.answer,
        "rationale": line.rationale,
        "content_key": content_key,
    }
