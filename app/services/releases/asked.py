"""What a release tells of an item whose question a model asked."""

from app.lifecycle import UserKind
from app.models import Json, Project
from app.queries.releases.asked import AskedSource
from app.services.accounts.pseudonyms import pseudonym


def describe_asked(project: Project, source: AskedSource) -> Json:
    """Returns how the question came about, and who kept it: a critic by name, a person by their
    pseudonym."""
    is_critic = source.user_kind is UserKind.CRITIC
    return {
        "round": source.round_number,
        "adapter": source.adapter_digest,
        "temperature": source.temperature,
        "seed": source.seed,
        "question": source.text,
        "is_reworded": source.edited_text is not None,
        "answer": source.answer,
        "kept_by": (
            source.user_name.removeprefix("critic ")
            if is_critic
            else pseudonym(project, source.user_id)
        ),
        "kept_by_kind": source.user_kind.value,
    }
