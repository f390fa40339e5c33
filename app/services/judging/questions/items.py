"""Items made of questions that a model asked: whoever kept the question, person or critic."""

from sqlalchemy.orm import Session

from app.lifecycle import Split
from app.models import AskedQuestion, Json
from app.queries.rounds.questions import insert_item
from app.strategies.same_question import stored_key


def keep_as_item(
    session: Session,
    question: AskedQuestion,
    *,
    split: Split,
    wording: str,
    answer: str,
    facts: Json | None,
) -> int | None:
    """Make an item of a question, in the split of its image; returns its id, or None where the
    image has an item of this question already."""
    name = f"asked-{question.image_sha256[:16]}-{stored_key(wording)[:16]}"
    return insert_item(
        session,
        {
            "project_id": question.project_id,
            "image_sha256": question.image_sha256,
            "split": split,
            "external_id": name,
            "question": wording,
            "answer": answer,
            "facts": facts,
        },
    )
