"""Names that a release may give away."""

import re

from app.lifecycle import UserKind
from app.models import Project
from app.queries.releases.judgements import JudgementSource
from app.services.accounts.pseudonyms import pseudonym

_HUB_FOLDER = re.compile(r"models--([^/\\]+?)--([^/\\]+)")
_IS_PATH = re.compile(r"[/~.]|[A-Za-z]:|.*\\|.*/.*/")


def public_model_name(model: str) -> str:
    """Returns a hub name as it is; of a folder its last part, since the rest is about a machine.

    A snapshot in the cache of the hub goes by its name on the hub.
    """
    if not _IS_PATH.match(model):
        return model
    if found := _HUB_FOLDER.search(model):
        return f"{found[1]}/{found[2]}"
    parts = [part for part in re.split(r"[/\\]+", model) if part not in {"", ".", "..", "~"}]
    return parts[-1] if parts else "a local model"


def public_judge_name(project: Project, judgement: JudgementSource) -> str:
    """Returns the name of a critic as it is, and of a person the pseudonym."""
    if judgement.user_kind is UserKind.CRITIC:
        return judgement.user_name.removeprefix("critic ")
    return pseudonym(project, judgement.user_id)
