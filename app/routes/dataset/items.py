"""Items of a project: the list, one item, and an admin's hand on it."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from app.kit.errors import InvalidInput
from app.kit.numbers import Whole
from app.kit.sentences import Sentence
from app.lifecycle import Split
from app.models import Item, Project
from app.queries.dataset.items import ItemFilter
from app.services.dataset import items
from app.web.access.deps import CurrentUser, SessionDep
from app.web.access.projects import ManagedItem, ManagedProject
from app.web.http.errors import form_again
from app.web.http.htmx import redirect, respond
from app.web.pages.dataset.items import ItemQuery, item_page, items_page

router = APIRouter()

Text = Annotated[str, Form()]


@dataclass(frozen=True)
class Wording:
    """The fields of the form for corrections; one per gold rationale."""

    question: str
    answer: str
    gold_rationales: list[str]


@router.get("/projects/{slug}/items")
def list_items(
    *,
    request: Request,
    project: ManagedProject,
    session: SessionDep,
    split: str = "",
    only: str = "",
    q: Annotated[str, Query(max_length=200)] = "",
    after: Whole = 0,
) -> Response:
    """Shows the items that filters leave; filters that are not known are passed over, because
    addresses are typed and kept.
    """
    query = ItemQuery(
        split=Split(split) if split in list(Split) else None,
        only=ItemFilter(only) if only in list(ItemFilter) else ItemFilter.ALL,
        text=q.strip(),
    )
    context = {"project": project, "page": items_page(session, project, query, after=after)}
    return respond(
        request, page="item/index.html", context=context, fragments=["item/_results.html"]
    )


@router.get("/items/{item_id}")
def show(request: Request, item: ManagedItem, session: SessionDep) -> Response:
    page = item_page(session, _project(session, item), item)
    context = {"project": page.project, "page": page}
    return respond(request, page="item/show.html", context=context)


@router.get("/items/{item_id}/exclude")
def confirm_exclude(request: Request, item: ManagedItem, session: SessionDep) -> Response:
    return _show_exclude(request, session, item, "", "")


@router.post("/items/{item_id}/exclude")
def exclude(
    request: Request, item: ManagedItem, user: CurrentUser, session: SessionDep, reason: Text = ""
) -> Response:
    def show(error: InvalidInput) -> Response:
        return _show_exclude(request, session, item, reason, error.message, status=422)

    with form_again(request, show):
        items.exclude_item(session, item, reason=reason, actor=user)
    return redirect(request, f"/items/{item.id}", toast_text=Sentence("The item is excluded."))


@router.post("/items/{item_id}/include")
def include(
    request: Request, item: ManagedItem, user: CurrentUser, session: SessionDep
) -> Response:
    items.include_item(session, item, actor=user)
    return redirect(
        request,
        f"/items/{item.id}",
        toast_text=Sentence("The item is included from the next round on."),
    )


@router.get("/items/{item_id}/correct")
def show_correct(request: Request, item: ManagedItem, session: SessionDep) -> Response:
    wording = Wording(item.question, item.answer, [*item.gold_rationales, ""])
    return _show_correct(request, session, item, wording)


@router.post("/items/{item_id}/correct")
def correct(
    *,
    request: Request,
    item: ManagedItem,
    user: CurrentUser,
    session: SessionDep,
    question: Text = "",
    answer: Text = "",
    gold_rationale: Annotated[list[str] | None, Form()] = None,
    more: Text = "",
    remove: Annotated[Whole | None, Form()] = None,
) -> Response:
    """Save the wording, or, by the buttons `more` and `remove`, change the number of fields."""
    wording = Wording(question, answer, gold_rationale or [])
    if more or remove is not None:
        if remove is not None and 0 <= remove < len(wording.gold_rationales):
            del wording.gold_rationales[remove]
        if more:
            wording.gold_rationales.append("")
        return _show_correct(request, session, item, wording)

    def show(error: InvalidInput) -> Response:
        return _show_correct(request, session, item, wording, error.message, status=422)

    with form_again(request, show):
        corrected = items.correct_item(
            session,
            item,
            question=question,
            answer=answer,
            gold_rationales=wording.gold_rationales,
            actor=user,
        )
    return redirect(
        request, f"/items/{corrected.id}", toast_text=Sentence("The item is corrected.")
    )


def _show_exclude(
    request: Request,
    session: SessionDep,
    item: Item,
    reason: str,
    error: str,
    *,
    status: int = 200,
) -> Response:
    context = {"project": _project(session, item), "item": item, "reason": reason, "error": error}
    return respond(request, page="item/exclude.html", context=context, status=status)


def _show_correct(
    request: Request,
    session: SessionDep,
    item: Item,
    wording: Wording,
    error: str = "",
    *,
    status: int = 200,
) -> Response:
    context = {
        "project": _project(session, item),
        "item": item,
        "is_replaced": items.is_history(session, item),
        "wording": wording,
        "error": error,
    }
    return respond(request, page="item/correct.html", context=context, status=status)


def _project(session: SessionDep, item: Item) -> Project:
    return session.get_one(Project, item.project_id)
