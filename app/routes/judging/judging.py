"""Judging: the next item, each click, submit, skip, take back.

Every form has a real address and works without JavaScript. With it, static/judge.js sends the same
forms and swaps `#work`; a submission is answered with the next item.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from pydantic import AwareDatetime, BaseModel

from app.kit.errors import AppError, Conflict, InvalidInput
from app.kit.texts import Sentence
from app.lifecycle import JUDGEABLE_ROUND
from app.models import Judgement
from app.services.judging import judgements, practice
from app.services.judging.answers import Answer
from app.web.access.deps import SessionDep
from app.web.access.judging import JudgedRound, LockedJudgedItem, LockedJudgement, OwnJudgement
from app.web.http.htmx import is_htmx, redirect
from app.web.http.inputs import Id, Whole, drops_odd_characters, read_whole
from app.web.pages.judging.view import JudgeView

router = APIRouter()


class JudgementForm(BaseModel):
    """The whole state of the form, sent with every click and every submission."""

    version: Whole
    picked: list[Id] = []
    none_fits: bool = False
    answer_is_wrong: bool = False
    is_flagged: bool = False
    comment: str = ""
    active_ms: Whole = 0
    fault: list[str] = []
    """`candidate:fault`, one per box that is ticked."""
    edited: list[Id] = []
    edit: list[str] = []
    """The better text of the candidate at the same place of `edited`; mostly empty."""

    @property
    def faults(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for value in self.fault:
            number, _, name = value.partition(":")
            candidate_id = read_whole(number)
            if candidate_id is None:
                raise InvalidInput(
                    Sentence("A fault does not name its rationale. Reload the page.")
                )
            found.setdefault(candidate_id, []).append(name)
        return found

    @property
    def edits(self) -> dict[int, str]:
        if len(self.edited) != len(self.edit):
            raise InvalidInput(
                Sentence("A better text does not name its rationale. Reload the page.")
            )
        return dict(zip(self.edited, self.edit, strict=True))

    def content(self) -> dict[str, Any]:
        """What the services take."""
        fields = self.model_dump(exclude={"fault", "edited", "edit"})
        return {**fields, "faults": self.faults, "edits": self.edits}

    def as_answer(self) -> Answer:
        """What was chosen, unchecked: to show it again."""
        return Answer(
            picked=tuple(self.picked),
            none_fits=self.none_fits,
            answer_is_wrong=self.answer_is_wrong,
            comment=self.comment,
            is_flagged=self.is_flagged,
            faults={key: tuple(names) for key, names in self.faults.items()},
            edits={key: text for key, text in self.edits.items() if text.strip()},
        )


class SkipForm(BaseModel):
    """A reason from the list, or another one."""

    reason: str = ""
    other_reason: str = ""


JudgementFormData = Annotated[JudgementForm, Form()]


@router.get("/rounds/{round_id}/judge")
def show_next(place: JudgedRound, session: SessionDep, request: Request) -> Response:
    """The item to judge now. It is reserved by being shown; asking again shows the same one."""
    view = JudgeView.of(request, session, place)
    judgement = None
    if place.round_.status in JUDGEABLE_ROUND:
        if practice.is_due(session, place.project, place.user):
            return redirect(request, f"/projects/{place.project.slug}/practice")
        judgement = judgements.lease_next(session, place.round_, place.user)
    return view.item(judgement) if judgement else view.empty()


@router.get("/rounds/{round_id}/mine")
def list_mine(place: JudgedRound, session: SessionDep, request: Request) -> Response:
    return JudgeView.of(request, session, place).mine()


@router.get("/judgements/{judgement_id}")
def show_judgement(place: OwnJudgement, session: SessionDep, request: Request) -> Response:
    return JudgeView.of(request, session, place).item(place.judgement)


@router.post("/judgements/{judgement_id}/draft")
@drops_odd_characters
def save_draft(
    place: LockedJudgement, form: JudgementFormData, session: SessionDep, request: Request
) -> Response:
    view = JudgeView.of(request, session, place)
    content = form.content()
    too_long = judgements.find_too_long(session, place.judgement, form.edits)
    try:
        judgement = judgements.save_draft(session, place, **content)
    except AppError as error:
        return _refused(view, place.judgement, form, error)
    if is_htmx(request):
        return view.saved(judgement, leaves_out=bool(too_long))
    if too_long:
        return _too_long(view, judgement, form, too_long)
    return redirect(request, f"/judgements/{judgement.id}", toast_text=Sentence("Draft saved"))


@router.post("/judgements/{judgement_id}/submit")
@drops_odd_characters
def submit(
    place: LockedJudgedItem, form: JudgementFormData, session: SessionDep, request: Request
) -> Response:
    view = JudgeView.of(request, session, place)
    content = form.content()
    too_long = judgements.find_too_long(session, place.judgement, form.edits)
    try:
        if too_long:
            judgement = judgements.save_draft(session, place, **content)
            return _too_long(view, judgement, form, too_long)
        judgements.submit(session, place, **content)
    except AppError as error:
        return _refused(view, place.judgement, form, error)
    return _go_on(view)


@router.post("/judgements/{judgement_id}/skip")
@drops_odd_characters
def skip(
    place: LockedJudgedItem,
    form: Annotated[SkipForm, Form()],
    session: SessionDep,
    request: Request,
) -> Response:
    judgements.skip(session, place, reason=form.other_reason or form.reason)
    return _go_on(JudgeView.of(request, session, place))


@router.post("/judgements/{judgement_id}/take-back")
def take_back(place: LockedJudgedItem, session: SessionDep, request: Request) -> Response:
    judgement = judgements.take_back(session, place)
    notice = Sentence("Taken back. Change it and submit it again.")
    return _go_to(JudgeView.of(request, session, place), judgement, notice)


@router.post("/judgements/{judgement_id}/resume")
def resume(place: LockedJudgement, session: SessionDep, request: Request) -> Response:
    judgement = judgements.resume(session, place)
    return _go_to(JudgeView.of(request, session, place), judgement, "")


@router.post("/judgements/{judgement_id}/heartbeat")
def heartbeat(
    place: LockedJudgement,
    session: SessionDep,
    request: Request,
    active_ms: Annotated[Whole, Form()] = 0,
) -> Response:
    """Keep the item; the reply names the new end of the lease, and so shows that it is ours."""
    judgement = judgements.heartbeat(session, place, active_ms=active_ms)
    return JudgeView.of(request, session, place).lease(judgement)


@router.post("/judgements/{judgement_id}/release")
def release(place: LockedJudgement, session: SessionDep, request: Request) -> Response:
    """Stop for now: the item is free for others at once."""
    judgements.release(session, place)
    return redirect(request, "/", toast_text=Sentence("Paused. What you chose is kept."))


@router.post("/judgements/{judgement_id}/leave")
def leave(
    place: LockedJudgement, lease: Annotated[AwareDatetime | None, Form()] = None
) -> Response:
    """Keep the item for a short while only, unless a newer page or heartbeat than this one came.

    `lease` is the end that the closed page knew; without it nothing tells who came last.
    """
    if lease is not None:
        judgements.leave(place, lease=lease)
    return Response(status_code=204)


def _go_on(view: JudgeView) -> Response:
    """The next item, in the same answer; a browser without script is sent to its page."""
    if not is_htmx(view.request):
        return redirect(view.request, f"/rounds/{view.round_.id}/judge")
    judgement = None
    if view.round_.status in JUDGEABLE_ROUND:
        judgement = judgements.go_on(view.session, view.round_, view.user)
    return view.item(judgement) if judgement else view.empty()


def _go_to(view: JudgeView, judgement: Judgement, notice: str) -> Response:
    if is_htmx(view.request):
        return view.item(judgement, notice=notice)
    url = f"/judgements/{judgement.id}"
    return redirect(view.request, url, toast_text=notice, kind="info")


def _too_long(
    view: JudgeView, judgement: Judgement, form: JudgementForm, too_long: frozenset[int]
) -> Response:
    """Show the texts that are too long, beside what is wrong with them; the rest is stored."""
    error = InvalidInput(
        Sentence("A better text is too long. Everything else is saved; shorten it and go on.")
    )
    return view.item(judgement, content=form.as_answer(), error=error, too_long=too_long)


def _refused(
    view: JudgeView, judgement: Judgement, form: JudgementForm, error: AppError
) -> Response:
    """Show what was chosen beside the reason; nothing of it is thrown away.

    The transaction is committed nevertheless: an answer that came too late is kept on its row.
    """
    if isinstance(error, InvalidInput):
        return view.item(judgement, content=form.as_answer(), error=error)
    if isinstance(error, Conflict):
        return view.conflict(judgement, content=form.as_answer(), error=error)
    raise error
