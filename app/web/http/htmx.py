"""Page or fragment, redirect or toast: the only place that knows htmx's headers.

One URL, one handler: `respond` answers a browser with the page and htmx with the fragments that the
page is made of. A toast is shown by whatever is answered: in the page, out of band beside the
fragments, or, after a redirect, by the next page (a short-lived signed cookie).
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.web.assets.addresses import address
from app.web.http.sessions import Toast, get_cookies
from app.web.language.languages import chosen_language, speaking
from app.web.render.templating import get_templates

TOASTS_FRAGMENT = "_toasts.html"


def is_htmx(request: Request) -> bool:
    """Whether a fragment is wanted. Boosted links and restored history want the page."""
    headers = request.headers
    return (
        headers.get("HX-Request") == "true"
        and headers.get("HX-Boosted") != "true"
        and headers.get("HX-History-Restore-Request") != "true"
    )


def toast(request: Request, text: str, kind: str = "ok") -> None:
    """Say something with the next answer; kind is ok, info, warn or bad."""
    pending = getattr(request.state, "toasts", [])
    request.state.toasts = [*pending, (kind, text)]


def respond(
    request: Request,
    *,
    page: str,
    context: Mapping[str, Any] | None = None,
    fragments: Sequence[str] = (),
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Answer with `page`, or, to htmx, with `fragments` in their order (out-of-band ones last).

    Without fragments htmx gets the page too. Templates see `request`, `user` (a `Principal` or
    none), `toasts`, and the context. Out-of-band pieces know themselves by `oob`, true only for
    htmx.
    """
    with speaking(chosen_language(request)):
        if fragments and is_htmx(request):
            return _fragments(request, fragments, context or {}, status, headers)
        return _page(request, page, context or {}, status, headers)


def _page(
    request: Request,
    page: str,
    context: Mapping[str, Any],
    status: int,
    headers: Mapping[str, str] | None,
) -> Response:
    cookies = get_cookies(request)
    toasts = [*cookies.read_toasts(request), *_pending(request)]
    values = {**_shared(request), "oob": False, "toasts": toasts, **context}
    response = get_templates().TemplateResponse(
        request, page, values, status_code=status, headers=headers
    )
    if cookies.flash_name in request.cookies:
        response.delete_cookie(cookies.flash_name, path=cookies.path)
    return response


def redirect(request: Request, url: str, *, toast_text: str = "", kind: str = "ok") -> Response:
    """Send the browser on to one of our paths.

    With a 303, or with HX-Redirect, because htmx cannot see headers of a 3xx.
    """
    url = address(url)
    if toast_text:
        toast(request, toast_text, kind)
    response: Response
    if is_htmx(request):
        # Headers hold few characters: the others are written as browsers write them.
        url = quote(url, safe=":/%#?=@[]!$&'()*+,;")
        response = Response(status_code=204, headers={"HX-Redirect": url})
    else:
        response = RedirectResponse(url, status_code=303)
    if pending := _pending(request):
        get_cookies(request).keep_toasts(response, pending)
    return response


def _fragments(
    request: Request,
    names: Sequence[str],
    context: Mapping[str, Any],
    status: int,
    headers: Mapping[str, str] | None,
) -> Response:
    values = {**_shared(request), "oob": True, "toasts": _pending(request), **context}
    wanted = [*names, TOASTS_FRAGMENT] if values["toasts"] else names
    environment = get_templates().env
    body = "\n".join(environment.get_template(name).render(values) for name in wanted)
    return HTMLResponse(body, status_code=status, headers=headers)


def _shared(request: Request) -> dict[str, Any]:
    return {"request": request, "user": getattr(request.state, "principal", None)}


def _pending(request: Request) -> list[Toast]:
    return list(getattr(request.state, "toasts", []))
