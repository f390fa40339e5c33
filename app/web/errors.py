"""From an error to an answer: one page for all statuses, and the true status always kept.

htmx swaps nothing of an answer with an error status (but 422); one listener in static/app.js shows
the sentence of the page as a toast. Callers that ask for JSON get the same sentence as JSON.
"""

from http import HTTPStatus
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from app.errors import AppError, InvalidInput, NotFound, NotSignedIn
from app.texts import Sentence
from app.web.htmx import is_htmx, respond
from app.web.middleware import SAFE_METHODS

_NO_PAGE = Sentence("There is no page at this address.")
_WRONG_INPUT = Sentence("Something in the input is not right.")


def error_page(request: Request, error: AppError) -> Response:
    errors = error.errors if isinstance(error, InvalidInput) else []
    if wants_json(request):
        return JSONResponse(
            {"error": error.message, "errors": errors}, status_code=error.status_code
        )
    context = {
        "status": error.status_code,
        "message": error.message,
        "errors": errors,
        "request_id": getattr(request.state, "request_id", ""),
    }
    return respond(request, page="error.html", context=context, status=error.status_code)


def wants_json(request: Request) -> bool:
    accepted = request.headers.get("Accept", "")
    return "application/json" in accepted and "text/html" not in accepted


def sign_in_url(request: Request) -> str:
    """The sign-in page, coming back to the page that the person sees now."""
    shown = request.url.path
    query = request.url.query
    if is_htmx(request) or request.method not in SAFE_METHODS:
        parts = urlsplit(
            request.headers.get("HX-Current-URL") or request.headers.get("Referer") or "/"
        )
        shown, query = parts.path or "/", parts.query
    target = f"{shown}?{query}" if query else shown
    return f"/sign-in?next={quote(target, safe='/')}"


def _handle_app_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)  # noqa: S101 - registered for this class only
    if isinstance(error, NotSignedIn) and not wants_json(request):
        if is_htmx(request):
            # The status stays 401: htmx follows HX-Redirect before it looks at the status, and a
            # page that wants to keep an unsent answer can see why it was refused.
            response = error_page(request, error)
            response.headers["HX-Redirect"] = sign_in_url(request)
            return response
        return RedirectResponse(sign_in_url(request), status_code=303)
    return error_page(request, error)


def _handle_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    if error.status_code == HTTPStatus.NOT_FOUND:
        return error_page(request, NotFound(_NO_PAGE))
    response = error_page(request, AppError(str(error.detail), status_code=error.status_code))
    response.headers.update(error.headers or {})
    return response


def _handle_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    problems = error.errors()
    if problems and all(problem["loc"][0] == "path" for problem in problems):
        # A number was expected where the address has something else: no such page.
        return error_page(request, NotFound(_NO_PAGE))
    lines = [f"{_field_name(problem['loc'])}: {problem['msg']}" for problem in problems]
    return error_page(request, InvalidInput(_WRONG_INPUT, errors=lines))


def _field_name(location: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in location[1:]) or str(location[0])


def add_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(AppError, _handle_app_error)
    app.add_exception_handler(HTTPException, _handle_http_error)
    app.add_exception_handler(RequestValidationError, _handle_invalid_request)
