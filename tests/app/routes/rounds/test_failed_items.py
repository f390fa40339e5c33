"""Pages that say which items a run could not do, and why."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import FailureKind, Job, Role, RoundItemState, RunStatus
from app.models import ItemFailure, RunShard
from tests.support.browsing import sign_in, text_of
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_run,
    make_user,
)

TOO_LONG = "A prompt of 93 tokens and the text that is to be written after it are too long."


@pytest.mark.parametrize(
    ("kind", "reason", "what_to_do"),
    [
        (
            FailureKind.IMAGE,
            "The image cannot be read: it is cut short.",
            "Exclude it; once the image is mended, include it again.",
        ),
        (FailureKind.PROMPT, TOO_LONG, "Correct its question or answer, or exclude it;"),
    ],
)
def test_the_pages_say_which_item_and_why(
    client: TestClient, session: Session, kind: FailureKind, reason: str, what_to_do: str
) -> None:
    project, admin = make_project(session), make_user(session)
    make_membership(session, project, admin, Role.ADMIN)
    item = make_item(session, project, external_id="broken-one")
    round_ = make_round(session, project)
    run = make_run(session, project, Job.GENERATE, round_=round_, status=RunStatus.RUNNING)
    shard = RunShard(run_id=run.id, number=1, item_ids=[item.id], attempt=1)
    session.add(shard)
    make_round_item(session, round_, item, texts=(), state=RoundItemState.SET_ASIDE)
    session.flush()
    session.add(
        ItemFailure(
            run_id=run.id,
            shard_id=shard.id,
            shard_attempt=shard.attempt,
            item_id=item.id,
            kind=kind,
            reason=reason,
        )
    )
    session.commit()
    sign_in(client, session, admin)
    shown = text_of(client.get(f"/rounds/{round_.id}"), "#round-status")
    assert "1 item could not be done; the others went on" in shown
    assert f"broken-one ({kind}) : {reason}" in shown
    assert "An item is set aside when its image or its prompt is at fault" in shown
    on_item = text_of(client.get(f"/items/{item.id}"), "main")
    assert f"Set aside. {reason}" in on_item
    assert what_to_do in on_item
