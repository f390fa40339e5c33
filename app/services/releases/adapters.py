"""An adapter as a download: its files as they are in the store, and a card that says where it comes
from and how it is loaded.

The bytes of the adapter itself are copied untouched, so that its digest stays true. Its `meta.json`
names the base as releases do, without the folder that it lies in here.
"""

import json
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from sqlalchemy.orm import Session

from app.kit.sentences import Sentence
from app.kit.storage import adapter_folder
from app.models import Json, Project
from app.queries.rounds.adapters import TrainedAdapter, list_scores_of_adapter
from app.round_settings import LoopSettings
from app.services.refusals import AdapterMissing
from app.services.releases.formats.front_matter import licence_lines
from app.services.releases.formats.packing import FIXED_TIME
from app.services.releases.names import public_model_name
from app.strategies import get_strategy

META = "meta.json"
CARD = "README.md"
_FIRST_SET = "adapter_config.json"
_FURTHER = ("sets/", "modules.json")
_BLOCK = 1 << 20

LOAD = """\
```python
from peft import PeftModel
from transformers import AutoModelForImageTextToText, AutoProcessor

base = AutoModelForImageTextToText.from_pretrained("{base}")
processor = AutoProcessor.from_pretrained("{base}")
model = PeftModel.from_pretrained(base, "path/to/this/folder")
```
"""
MERGE = """\
This adapter holds more than its first set of LoRA, which is all that peft would load: have ILLUME
write the base model with the whole adapter worked in, and load that.

```
illume model merge {project} merged/
```

```python
from transformers import AutoModelForImageTextToText, AutoProcessor

model = AutoModelForImageTextToText.from_pretrained("merged")
processor = AutoProcessor.from_pretrained("merged")
```
"""


@dataclass(frozen=True)
class AdapterDownload:
    """The files of a zip: `copied` from the store, `written` anew."""

    filename: str
    copied: tuple[tuple[str, Path], ...]
    written: tuple[tuple[str, bytes], ...]


def prepare_download(
    session: Session, project: Project, trained: TrainedAdapter
) -> AdapterDownload:
    """Returns what the zip of an adapter holds. Raises AdapterMissing where the store lost it."""
    folder = adapter_folder(trained.adapter.digest)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = [path.relative_to(folder).as_posix() for path in files]
    if not files:
        raise AdapterMissing(
            Sentence("The files of this adapter are not in the store. Restore them from a backup.")
        )
    meta = {
        **trained.adapter.meta,
        "base_model": public_model_name(trained.adapter.base_model),
        "digest": trained.adapter.digest,
    }
    card = render_card(project, trained, meta, names, _scores(session, trained))
    copied = [pair for pair in zip(names, files, strict=True) if pair[0] not in {META, CARD}]
    return AdapterDownload(
        filename=f"{project.slug}-round-{trained.round_number}"
        f"{f'-{trained.role}' if trained.role else ''}-adapter.zip",
        copied=tuple(copied),
        written=((CARD, card.encode()), (META, (json.dumps(meta, indent=2) + "\n").encode())),
    )


def render_card(
    project: Project, trained: TrainedAdapter, meta: Json, names: list[str], scores: list[Json]
) -> str:
    """Returns the model card in Markdown."""
    adapter = trained.adapter
    base = public_model_name(adapter.base_model)
    has_more = any(name.startswith(_FURTHER) for name in names)
    is_first_alone = _FIRST_SET in names and not has_more
    load = LOAD if is_first_alone else MERGE
    head = [
        "---",
        f"base_model: {json.dumps(base)}",
        *(['library_name: "peft"'] if is_first_alone else []),
        'pipeline_tag: "image-text-to-text"',
        'tags: ["lora", "rationales", "illume"]',
        *licence_lines(project.licence),
        "---",
    ]
    parent = trained.parent_digest
    facts = [
        f"- made by round {trained.round_number} of {project.name}"
        + (f", for the role {trained.role} of {trained.strategy}" if trained.role else ""),
        f"- base model {base}, revision `{adapter.base_revision}`: load exactly this one",
        *_list_beside(trained),
        f"- digest `{adapter.digest}` (sha256 over all files but `{META}` and this one)",
        f"- went on from the adapter `{parent}`" if parent else "- trained from the base model",
        *_trained_on(meta),
    ]
    sections = [
        f"# {project.name}, adapter of round {trained.round_number}",
        "A vision-language model that answers a question about a picture and says why, trained on "
        "rationales that it had written itself and that judges had picked.",
        "\n".join(facts),
        f"## Load it\n\n{load.format(base=base, project=project.slug).strip()}",
        f"## Ask it\n\n{_ASK}",
        f"## Scores of its round\n\n{_table(scores)}",
        f"## Training\n\n{_settings(meta)}",
        "## Known limits\n\nIt was trained to say reasons that judges accept. That a reason reads "
        "well does not show that the answer is right, nor that the model came to it in this way.",
        f"## Licence\n\n{project.licence.strip() or 'None was stated: ask the owners.'}",
    ]
    return "\n".join(head) + "\n\n" + "\n\n".join(sections) + "\n"


_ASK = (
    "Ask as it was trained: of a chat model, the picture and the question are a user's turn, which "
    "the model answers with the answer and its reason in one sentence; of another, the picture is "
    "followed by `Q: … A:`. Draw near greedily for the answer."
)


def _list_beside(trained: TrainedAdapter) -> list[str]:
    """The roles that it was asked together with and that stand on another base."""
    settings = LoopSettings.model_validate(trained.settings)
    strategy = get_strategy(trained.strategy)
    own = strategy.base_of(settings, trained.role)
    bases = {role: strategy.base_of(settings, role) for role in strategy.roles}
    return [
        f"- asked beside the {role}, which stands on {public_model_name(base.name)}"
        for role, base in bases.items()
        if base != own
    ]


def _trained_on(meta: Json) -> list[str]:
    counted = (
        ("n_rationale_rows", "rationales"),
        ("n_written_rows", "texts that people corrected"),
        ("n_prior_rows", "episodes of the prior"),
        ("n_boxes", "boxes that people drew"),
        ("n_corrected_looks", "observations as people corrected them"),
    )
    found = [f"{meta[name]:,} {label}" for name, label in counted if meta.get(name)]
    return [f"- trained on {', '.join(found)}"] if found else []


def _scores(session: Session, trained: TrainedAdapter) -> list[Json]:
    return [
        {
            "split": score.split.value,
            "name": score.name,
            "value": score.value,
            "low": score.low,
            "high": score.high,
            "n": score.n,
        }
        for score in list_scores_of_adapter(session, trained.round_id, trained.strategy)
    ]


def _table(scores: list[Json]) -> str:
    if not scores:
        return "None were measured."
    lines = ["| split | score | value | interval | n |", "|---|---|---|---|---|"]
    for score in scores:
        has_interval = score["low"] is not None and score["high"] is not None
        interval = f"{score['low']:.4g} to {score['high']:.4g}" if has_interval else ""
        lines.append(
            f"| {score['split']} | {score['name']} | {score['value']:.4g} | {interval} | "
            f"{score['n']:,} |"
        )
    return "\n".join(lines)


def _settings(meta: Json) -> str:
    training = meta.get("training")
    if not isinstance(training, dict):
        return "Its settings were not noted."
    told = {name: value for name, value in training.items() if not isinstance(value, dict | list)}
    return "\n".join(f"- `{name}`: {value}" for name, value in sorted(told.items()))


def stream_zip(download: AdapterDownload) -> Iterator[bytes]:
    """Yields the zip a block at a time: adapters may be larger than memory."""
    sink = _Sink()
    with zipfile.ZipFile(cast("IO[bytes]", sink), "w", zipfile.ZIP_STORED) as archive:
        for name, content in download.written:
            archive.writestr(_described(name), content)
            yield sink.take()
        for name, path in download.copied:
            info = _described(name)
            info.file_size = path.stat().st_size
            with path.open("rb") as source, archive.open(info, "w") as target:
                while block := source.read(_BLOCK):
                    target.write(block)
                    yield sink.take()
    yield sink.take()


def _described(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, FIXED_TIME)
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    return info


class _Sink:
    """Where a zip is written that nobody can wind back: it has no `tell` and no `seek`."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, content: bytes) -> int:
        """Keeps a part."""
        self._parts.append(bytes(content))
        return len(content)

    def flush(self) -> None:
        """There is nothing to do."""

    def take(self) -> bytes:
        """Returns what was written since the last call."""
        taken, self._parts = b"".join(self._parts), []
        return taken
