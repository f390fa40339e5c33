"""Judging: the next item, each click, submit, skip, take back.

Every form has a real address and works without JavaScript. With it, static/judge/judge.js sends the
same forms and swaps `#work`; a submission is answered with the next item.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, Json, model_validator

from app.kit.errors import Conflict, InvalidInput, StaleVersion
from app.kit.numbers import Id, Whole
from app.kit.sentences import Sentence
from app.lifecycle import JUDGEABLE_ROUND
from app.models import Judgement
from app.opinions import Opinion
from app.services.judging import judgements, leases, opening, practice
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


class OpinionForm(Opinion):
    """An opinion as browsers send it, whole, with every click and every submission.

    What is said of candidates has fields of its own: a form has no dictionaries.
    """

    model_config = ConfigDict(extra="ignore")

    version: Whole
    active_ms: Whole = 0
    fault: tuple[str, ...] = ()
    """`candidate:fault`, one per box that is ticked."""
    edited: tuple[Id, ...] = ()
    edit: tuple[str, ...] = ()
    """The better text of the candidate at the same place of `edited`; mostly empty."""
    turns: dict[str, str] = Field(default_factory=dict)
    """The fields about turns by their names, which say of which: `mark-draw-turn-of`, and
    `correction-draw-turn`."""
    opinion: Json[Opinion] | None = None
    """All of it as JSON, which then counts alone."""

    @model_validator(mode="before")
    @classmethod
    def gather_turns(cls, sent: Any) -> Any:
        """Put the fields about turns together: there are as many as there are turns."""
        if not isinstance(sent, Mapping):
            return sent
        turns = {
            name: value
            for name, value in sent.items()
            if isinstance(value, str) and name.startswith(("mark-", "correction-"))
        }
        return {**sent, "turns": turns}

    def read(self) -> Opinion:
        """Returns the opinion that was sent. Raises InvalidInput where its parts do not fit."""
        if self.opinion is not None:
            return self.opinion
        given: dict[str, Any] = {name: getattr(self, name) for name in Opinion.model_fields}
        marks, corrections = self._read_turns()
        return Opinion(
            **given
            | {"faults": self._read_faults(), "edits": self._read_edits()}
            | {"marks": marks, "corrections": corrections}
        )

    def _read_faults(self) -> dict[int, list[str]]:
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

    def _read_edits(self) -> dict[int, str]:
        if len(self.edited) != len(self.edit):
            raise InvalidInput(
                Sentence("A better text does not name its rationale. Reload the page.")
            )
        return dict(zip(self.edited, self.edit, strict=True))

    def _read_turns(
        self,
    ) -> tuple[dict[int, dict[int, dict[str, str]]], dict[int, dict[int, str]]]:
        marks: dict[int, dict[int, dict[str, str]]] = {}
        corrections: dict[int, dict[int, str]] = {}
        for field, value in self.turns.items():
            kind, *where = field.split("-", 3)
            draw, turn = (read_whole(number) for number in (*where, "", "")[:2])
            if draw is None or turn is None or len(where) != (3 if kind == "mark" else 2):
                raise InvalidInput(Sentence("A mark does not name its turn. Reload the page."))
            if kind == "mark":
                marks.setdefault(draw, {}).setdefault(turn, {})[where[2]] = value
            else:
                corrections.setdefault(draw, {})[turn] = value
        return marks, corrections


class SkipForm(BaseModel):
    """A reason from the list, or another one."""

    reason: str = ""
    other_reason: str = ""


OpinionFormData = Annotated[OpinionForm, Form()]


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
    return _show_following(view)


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
        leases.shorten_lease(locked, lease=lease)
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
