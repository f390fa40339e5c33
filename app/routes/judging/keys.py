"""The own keys of the judging page: look, change, back to the usual ones."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from app.kit.errors import InvalidInput
from app.kit.sentences import Sentence
from app.services.judging import keys as judging_keys
from app.services.judging.keys import NAMED_KEYS, USUAL_KEYS, Key
from app.web.access.deps import CurrentUser
from app.web.http.errors import form_again
from app.web.http.htmx import redirect, respond

router = APIRouter()
ADDRESS = "/account/keys"


@router.get(ADDRESS)
def show_keys(request: Request, user: CurrentUser) -> Response:
    return _page(request, judging_keys.keys_of(user))


@router.post(ADDRESS)
def change_keys(
    request: Request,
    user: CurrentUser,
    action: Annotated[list[str], Form()],
    key: Annotated[list[str], Form()],
) -> Response:
    chosen = dict(zip(action, key, strict=False))

    def show(error: InvalidInput) -> Response:
        shown = [Key(k.action, chosen.get(k.action, ""), k.label) for k in USUAL_KEYS]
        return _page(request, tuple(shown), error)

    with form_again(request, show):
        judging_keys.set_keys(user, chosen)
    return redirect(request, ADDRESS, toast_text=Sentence("Your keys are kept."))


@router.post(f"{ADDRESS}/reset")
def reset_keys(request: Request, user: CurrentUser) -> Response:
    judging_keys.reset_keys(user)
    return redirect(request, ADDRESS, toast_text=Sentence("The usual keys are back."))


def _page(request: Request, keys: tuple[Key, ...], error: InvalidInput | None = None) -> Response:
    return respond(
        request,
        page="account/keys.html",
        context={"keys": keys, "usual": USUAL_KEYS, "named": NAMED_KEYS, "error": error},
        status=error.status_code if error else 200,
    )
