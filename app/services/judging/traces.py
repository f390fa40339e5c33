"""How candidates came about, where that is hidden until they are judged: opened, and then marked.

1. Before somebody has submitted, a candidate is its text alone, and taking back is as free as ever.
2. Whoever has submitted may open the traces. From then on their verdicts stand: the table refuses
   any other status (`opened_traces_stay`).
3. What they say of the traces is written at once, with each change, as long as the round is judged.
"""

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.events.judging import TracesOpened
from app.kit.errors import InvalidInput, StaleVersion
from app.kit.sentences import Sentence
from app.lifecycle import JudgementStatus
from app.models import Judgement, JudgementRevision
from app.opinions import Opinion
from app.queries.judging import submissions as queries
from app.queries.judging.access import LockedJudgement
from app.services.events import record
from app.services.judging.judgements import revision_content
from app.services.judging.leases import require_judgeable
from app.services.judging.opinions import opinion_of, store_opinion
from app.services.judging.turns import check_turns, write_turns
from app.services.judging.ways import is_blind
from app.services.refusals import NotSubmitted


def open_traces(
    session: Session, locked: LockedJudgement, *, now: datetime | None = None
) -> Judgement:
    """Let the author of a submitted judgement see how its candidates came about; asked again, and
    in a round where nothing is hidden, it changes nothing.

    Raises Conflict where it is not submitted, and where the round is closed: then nothing is
    recorded of it any more.
    """
    judgement = locked.judgement
    if judgement.traces_opened_at is not None or not is_blind(locked.round_):
        return judgement
    require_judgeable(locked.round_)
    if judgement.status is not JudgementStatus.SUBMITTED:
        raise NotSubmitted(
            Sentence("Submit this item first: how its rationales came about is shown afterwards.")
        )
    judgement.traces_opened_at = now or datetime.now(UTC)
    record(
        session,
        TracesOpened(judgement_id=judgement.id),
        project_id=locked.project.id,
        round_id=judgement.round_id,
        actor=judgement.user_id,
    )
    return judgement


def mark_traces(
    session: Session,
    locked: LockedJudgement,
    said: Opinion,
    *,
    version: int,
    now: datetime | None = None,
) -> Judgement:
    """Store what somebody says of opened traces: the marks, corrections and boxes of `said`, and
    nothing else of it. The same again changes nothing.

    Raises InvalidInput where the traces are not open or something is said of another draw,
    StaleVersion where another page said something else since `version`, and Conflict where the
    round is closed.
    """
    judgement, round_ = locked.judgement, locked.round_
    if judgement.traces_opened_at is None or judgement.status is not JudgementStatus.SUBMITTED:
        raise InvalidInput(
            Sentence("How a rationale came about can be marked once it is judged and opened.")
        )
    stored = opinion_of(judgement)
    changed = {"marks": said.marks, "corrections": said.corrections, "boxes": said.boxes}
    opinion = check_turns(session, round_, judgement, stored.model_copy(update=changed))
    if opinion == stored:
        return judgement
    require_judgeable(round_)
    if version != judgement.version:
        raise StaleVersion(
            Sentence(
                "This item was marked in another tab or window since this page was loaded. Nothing "
                "was overwritten: reload the page."
            )
        )
    store_opinion(judgement, opinion, version=version, now=now or datetime.now(UTC))
    queries.delete_turns(session, judgement.id)
    write_turns(session, judgement, opinion)
    session.add(
        JudgementRevision(
            judgement_id=judgement.id,
            number=queries.last_revision_number(session, judgement.id) + 1,
            action="mark",
            content=revision_content(judgement, opinion),
        )
    )
    return judgement
