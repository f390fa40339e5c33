"""The card of a release: everything its README says, frozen with it."""

from collections.abc import Sequence
from datetime import date

from app.models import Json, Project, Release
from app.queries.releases.rounds import AdapterSource, RoundSource
from app.round_settings import LoopSettings
from app.services.releases.figures import Figures
from app.services.releases.names import public_model_name
from app.strategies import DIRECT, get_strategy

PICTURES = "upright, without metadata"
"""How the pictures of a release are given away; releases without this word hold them as imported.
"""

FORMAT = 6
"""Of the files; releases without this word are of the first. It stays with a release for ever.

1: draws call the opener `prompt`; JSONL has no pictures and always a `withdrawn.jsonl`.
2: `opener`, `image_name`; JSONL with pictures, and with withdrawn rows only where there are any.
3: `is_cut`, also of the rows of the folder for `datasets`.
4: that folder has `prompt`, `completion`, `gold_rationales` and `facts`.
5: `answers`, what several people answered to the question.
6: Parquet tells the `probability` of an admission, as the other forms do.
"""


def make_card(
    project: Project,
    rounds: Sequence[RoundSource],
    figures: Figures,
    *,
    n_tombstones: int,
    released_on: date,
    previous: Release | None,
    guidelines_pictures: Sequence[Json] = (),
    evidence: Sequence[Json] = (),
) -> Json:
    return {
        "project": project.name,
        "slug": project.slug,
        "description": project.description,
        "licence": project.licence,
        "guidelines": project.guidelines,
        "guidelines_version": project.guidelines_version,
        # Guidelines without pictures are described as they always were.
        **({"guidelines_pictures": list(guidelines_pictures)} if guidelines_pictures else {}),
        "released_on": released_on.isoformat(),
        "previous": {"number": previous.number, "content_hash": previous.content_hash}
        if previous
        else None,
        "rounds": [_describe_round(source) for source in rounds],
        # Of rounds that nobody measured there is nothing to tell.
        **({"evidence": list(evidence)} if evidence else {}),
        "format": FORMAT,
        "pictures": PICTURES,
        "figures": {**figures.as_dict(), "tombstones": n_tombstones},
    }


def _describe_round(source: RoundSource) -> Json:
    settings = LoopSettings.model_validate(source.round.settings)
    return {
        "number": source.round.number,
        "status": source.round.status.value,
        "base_model": public_model_name(settings.base_model),
        "base_revision": settings.revision,
        "base_digest": source.base_digest,
        **_describe_adapters(source.adapters, settings),
        "openers": list(settings.sampling.openers),
        "temperatures": list(settings.sampling.temperatures),
        "n_samples": settings.sampling.n_samples,
        "judges": settings.judging.judges,
        "control": settings.judging.control,
        "overlap": settings.judging.overlap,
        "max_shown": settings.judging.max_shown,
        "policy": settings.admission.name,
        "training_source": settings.training.source,
        # A round without such texts is described as it always was.
        **({"trained_on_written": True} if settings.training.written else {}),
        **({"trained_on_corrections": True} if source.learned_corrections else {}),
        **({"trained_on_prior": True} if source.learned_from_prior else {}),
        **_describe_strategies(settings),
    }


def _describe_strategies(settings: LoopSettings) -> Json:
    """Several with their shares; such a round is judged blind. ILLUME's own goes without saying."""
    if settings.is_mixed:
        return {"strategies": dict(settings.shares), "judged_blind": True}
    return {} if settings.strategy == DIRECT.name else {"strategy": settings.strategy}


def _describe_adapters(adapters: Sequence[AdapterSource], settings: LoopSettings) -> Json:
    """Those of a strategy with several roles stand under `roles`, and so do those of several
    strategies, each with the name of its strategy in front. One whose role stands on another base
    than the round names that too."""
    if len(adapters) > 1:
        is_mixed = len({entry.strategy for entry in adapters}) > 1
        roles = {
            f"{entry.strategy}/{entry.role}" if is_mixed else entry.role: {
                "sampled_from": entry.parent_digest,
                "trained": entry.new_digest,
                **_describe_own_base(entry, settings),
            }
            for entry in adapters
        }
        return {"sampled_from": None, "trained": None, "roles": roles}
    return {
        "sampled_from": adapters[0].parent_digest if adapters else None,
        "trained": adapters[0].new_digest if adapters else None,
    }


def _describe_own_base(entry: AdapterSource, settings: LoopSettings) -> Json:
    base = get_strategy(entry.strategy).base_of(settings, entry.role)
    if base == settings.base:
        return {}
    return {
        "base_model": public_model_name(base.name),
        "base_revision": base.revision,
        "base_digest": entry.base_digest,
    }
