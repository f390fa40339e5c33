"""Judging: the next item, each click, submit, skip, take back.

Every form has a real address and works without JavaScript. With it, static/judge/judge.js sends the
same forms and swaps `#work`; a submission is answered with the next item.
"""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from pydantic import AwareDatetime, BaseModel

from app.kit.errors import Conflict, InvalidInput, StaleVersion
from app.kit.numbers import Id, Whole
from app.kit.sentences import Sentence
from app.lifecycle import JUDGEABLE_ROUND
from app.models import Judgement
from app.opinions import Opinion
from app.routes.judging.opinion_form import OpinionForm
from app.services.judging import (
    branches,
    judgements,
    leases,
    opening,
    practice,
    traces,
    ways,
)
from app.services.judging.opinions import Kept, Stored
from app.services.projects import guidelines
from app.services.refusals import LeaseLost, PartlyStored
from app.web.access.deps import SessionDep
from app.web.access.judging import AtLockedItem, AtLockedJudgement, AtOwnJudgement, AtRound
from app.web.http.errors import error_page, wants_json
from app.web.http.htmx import is_htmx, redirect
from app.web.http.inputs import drops_odd_characters, read_whole
from app.web.pages.judging.view import JudgeView

router = APIRouter()


class BranchForm(OpinionForm):
    """An opinion, sent with a button beside a look: `draw-turn` is the value of the button."""

    look: str

    def read_look(self) -> tuple[int, int]:
        """Returns the draw and the number of its turn. Raises InvalidInput where it is none."""
        draw, turn = (read_whole(number) for number in (*self.look.split("-"), "", "")[:2])
        if draw is None or turn is None:
            raise InvalidInput(Sentence("The look is not known. Reload the page."))
        return draw, turn


class SkipForm(BaseModel):
    """A reason from the list, or another one."""

    reason: str = ""
    other_reason: str = ""


OpinionFormData = Annotated[OpinionForm, Form()]
BranchFormData = Annotated[BranchForm, Form()]


@router.get("/rounds/{round_id}/judge")
def show_next(access: AtRound, session: SessionDep, request: Request) -> Response:
    """The item to judge now. It is reserved by being shown; asking again shows the same one."""
    view = JudgeView(request, session, access)
    judgement = None
    if access.round_.status in JUDGEABLE_ROUND:
        if practice.is_due(session, access.project, access.user):
            return redirect(request, f"/projects/{access.project.slug}/practice")
        judgement = opening.open_next_item(session, access.round_, access.user)
    return _show(view, judgement)


@router.get("/rounds/{round_id}/mine")
def list_mine(access: AtRound, session: SessionDep, request: Request) -> Response:
    return JudgeView(request, session, access).mine()


@router.get("/judgements/{judgement_id}")
def show_judgement(access: AtOwnJudgement, session: SessionDep, request: Request) -> Response:
    return _show(JudgeView(request, session, access), access.judgement)


@router.post("/judgements/{judgement_id}/draft")
@drops_odd_characters
def save_draft(
    locked: AtLockedJudgement, form: OpinionFormData, session: SessionDep, request: Request
) -> Response:
    view = JudgeView(request, session, locked)
    opinion = form.read()
    try:
        outcome = judgements.save_draft(
            session, locked, opinion, version=form.version, active_ms=form.active_ms
        )
    except (InvalidInput, Conflict) as error:
        return _refused(view, locked.judgement, opinion, error)
    if isinstance(outcome, Kept):
        return _kept(view, outcome, opinion)
    if is_htmx(request):
        return view.saved(outcome.judgement, leaves_out=bool(outcome.too_long))
    if outcome.too_long:
        return _too_long(view, outcome, opinion)
    url = f"/judgements/{outcome.judgement.id}"
    return redirect(request, url, toast_text=Sentence("Draft saved"))


@router.post("/judgements/{judgement_id}/branches")
@drops_odd_characters
def ask_for_branch(
    locked: AtLockedJudgement, form: BranchFormData, session: SessionDep, request: Request
) -> Response:
    """Store what was chosen, and let the model continue from a look that was corrected. In a round
    that is judged blind, what is said of looks is stored alone."""
    view = JudgeView(request, session, locked)
    opinion = form.read()
    if ways.is_blind(view.round_):
        draw, turn = form.read_look()
        traces.mark_traces(session, locked, opinion, version=form.version)
        branches.ask_for_branch(session, locked, draw=draw, turn=turn)
        return _show_branch(view, locked.judgement, draw, turn)
    try:
        draw, turn = form.read_look()
        outcome = judgements.save_draft(
            session, locked, opinion, version=form.version, active_ms=form.active_ms
        )
        if isinstance(outcome, Kept):
            return _kept(view, outcome, opinion)
        branches.ask_for_branch(session, locked, draw=draw, turn=turn)
    except (InvalidInput, Conflict) as error:
        return _refused(view, locked.judgement, opinion, error)
    return _show_branch(view, locked.judgement, draw, turn)


@router.get("/judgements/{judgement_id}/branches/{draw}/{turn}")
def look_for_branch(
    access: AtOwnJudgement, draw: Id, turn: Id, session: SessionDep, request: Request
) -> Response:
    """How far a branch is; the page asks until it is there."""
    return _show_branch(JudgeView(request, session, access), access.judgement, draw, turn)


@router.post("/judgements/{judgement_id}/use-branch")
@drops_odd_characters
def use_branch(
    locked: AtLockedJudgement, form: BranchFormData, session: SessionDep, request: Request
) -> Response:
    """Take the text of a branch as a better text, where no script puts it into its field."""
    view = JudgeView(request, session, locked)
    opinion = form.read()
    try:
        draw, turn = form.read_look()
        opinion = branches.with_text_of_branch(session, locked, opinion, draw=draw, turn=turn)
        outcome = judgements.save_draft(
            session, locked, opinion, version=form.version, active_ms=form.active_ms
        )
    except (InvalidInput, Conflict) as error:
        return _refused(view, locked.judgement, opinion, error)
    if isinstance(outcome, Kept):
        return _kept(view, outcome, opinion)
    if outcome.too_long:
        return _too_long(view, outcome, opinion)
    url = f"/judgements/{locked.judgement.id}"
    return redirect(request, url, toast_text=Sentence("Taken as your better text"))


@router.post("/judgements/{judgement_id}/submit")
@drops_odd_characters
def submit(
    locked: AtLockedItem, form: OpinionFormData, session: SessionDep, request: Request
) -> Response:
    view = JudgeView(request, session, locked)
    opinion = form.read()
    try:
        outcome = judgements.submit(
            session, locked, opinion, version=form.version, active_ms=form.active_ms
        )
    except (InvalidInput, Conflict) as error:
        return _refused(view, locked.judgement, opinion, error)
    if isinstance(outcome, Kept):
        return _kept(view, outcome, opinion)
    if outcome.too_long:
        return _too_long(view, outcome, opinion)
    if ways.is_blind(view.round_):  # how its rationales came about may be looked at now
        return _show_changed(view, outcome.judgement, "")
    return _show_following(view)


@router.post("/judgements/{judgement_id}/traces")
def open_traces(locked: AtLockedJudgement, session: SessionDep, request: Request) -> Response:
    """Show how the rationales of a submitted item came about; from now on its verdicts stand."""
    judgement = traces.open_traces(session, locked)
    return _show_changed(JudgeView(request, session, locked), judgement, "")


@router.post("/judgements/{judgement_id}/marks")
@drops_odd_characters
def mark_traces(
    locked: AtLockedJudgement, form: OpinionFormData, session: SessionDep, request: Request
) -> Response:
    """Store what is said of opened traces; the verdicts stay."""
    judgement = traces.mark_traces(session, locked, form.read(), version=form.version)
    if is_htmx(request):
        return JudgeView(request, session, locked).saved(judgement)
    url = f"/judgements/{judgement.id}"
    return redirect(request, url, toast_text=Sentence("Marks saved"))


@router.post("/judgements/{judgement_id}/skip")
@drops_odd_characters
def skip(
    locked: AtLockedItem,
    form: Annotated[SkipForm, Form()],
    session: SessionDep,
    request: Request,
) -> Response:
    judgements.skip(session, locked, reason=form.other_reason or form.reason)
    return _show_following(JudgeView(request, session, locked))


@router.post("/judgements/{judgement_id}/take-back")
def take_back(locked: AtLockedItem, session: SessionDep, request: Request) -> Response:
    judgement = judgements.take_back(session, locked)
    notice = Sentence("Taken back. Change it and submit it again.")
    return _show_changed(JudgeView(request, session, locked), judgement, notice)


@router.post("/judgements/{judgement_id}/resume")
def resume(locked: AtLockedJudgement, session: SessionDep, request: Request) -> Response:
    judgement = leases.resume(session, locked)
    return _show_changed(JudgeView(request, session, locked), judgement, "")


@router.post("/judgements/{judgement_id}/heartbeat")
def heartbeat(
    locked: AtLockedJudgement,
    session: SessionDep,
    request: Request,
    active_ms: Annotated[Whole, Form()] = 0,
) -> Response:
    """Keep the item; the reply names the new end of the lease, and so shows that it is ours."""
    judgement = leases.heartbeat(session, locked, active_ms=active_ms)
    return JudgeView(request, session, locked).lease(judgement)


@router.post("/judgements/{judgement_id}/release")
def release(locked: AtLockedJudgement, session: SessionDep, request: Request) -> Response:
    """Stop for now: the item is free for others at once."""
    leases.give_back_item(session, locked)
    return redirect(request, "/", toast_text=Sentence("Paused. What you chose is kept."))


@router.post("/judgements/{judgement_id}/leave")
def leave(
    locked: AtLockedJudgement, lease: Annotated[AwareDatetime | None, Form()] = None
) -> Response:
    """Keep the item for a short while only, unless a newer page or heartbeat than this one came.

    `lease` is the end that the closed page knew; without it nothing tells who came last.
    """
    if lease is not None:
        leases.shorten_lease(locked.judgement, lease=lease)
    return Response(status_code=204)


def _show(
    view: JudgeView,
    judgement: Judgement | None,
    *,
    opinion: Opinion | None = None,
    notice: str = "",
    error: InvalidInput | None = None,
    too_long: frozenset[int] = frozenset(),
) -> Response:
    """Open the guidelines beside an item, or beside an empty queue, and show it."""
    opening.note_guidelines(view.session, view.access, judgement)
    guidelines.keep_unread_change(view.session, view.project, view.access.guidelines_read)
    if judgement is None:
        return view.empty()
    return view.item(judgement, opinion=opinion, notice=notice, error=error, too_long=too_long)


def _show_following(view: JudgeView) -> Response:
    """The next item, in the same answer; a browser without script is sent to its page."""
    if not is_htmx(view.request):
        return redirect(view.request, f"/rounds/{view.round_.id}/judge")
    judgement = None
    if view.round_.status in JUDGEABLE_ROUND:
        judgement = opening.open_following_item(view.session, view.round_, view.user)
    return _show(view, judgement)


def _show_branch(view: JudgeView, judgement: Judgement, draw: int, turn: int) -> Response:
    if is_htmx(view.request):
        return view.branch(judgement, draw, turn)
    return redirect(view.request, f"/judgements/{judgement.id}#branch-{draw}-{turn}")


def _show_changed(view: JudgeView, judgement: Judgement, notice: str) -> Response:
    if is_htmx(view.request):
        return _show(view, judgement, notice=notice)
    url = f"/judgements/{judgement.id}"
    return redirect(view.request, url, toast_text=notice, kind="info")


def _too_long(view: JudgeView, outcome: Stored, opinion: Opinion) -> Response:
    """Show the texts that are too long, beside what is wrong with them; the rest is stored."""
    error = PartlyStored(
        Sentence("A better text is too long. Everything else is saved; shorten it and go on.")
    )
    if wants_json(view.request):
        return error_page(view.request, error)  # no exception: what is stored stays
    return _show(view, outcome.judgement, opinion=opinion, error=error, too_long=outcome.too_long)


def _refused(
    view: JudgeView, judgement: Judgement, opinion: Opinion, error: InvalidInput | Conflict
) -> Response:
    """Show what was chosen beside the reason; nothing of it is stored, and nothing thrown away."""
    if wants_json(view.request):
        raise error
    if isinstance(error, InvalidInput):
        return _show(view, judgement, opinion=opinion, error=error)
    return view.conflict(
        judgement,
        opinion=opinion,
        message=error.message,
        can_overwrite=isinstance(error, StaleVersion),
        status=error.status_code,
    )


def _kept(view: JudgeView, outcome: Kept, opinion: Opinion) -> Response:
    """Say that an opinion came too late: it is stored on its row, and does not count."""
    if wants_json(view.request):
        return error_page(view.request, LeaseLost(outcome.sentence))
    return view.conflict(
        outcome.judgement,
        opinion=opinion,
        message=outcome.sentence,
        can_overwrite=False,
        status=Conflict.status_code,
    )
