"""Turns errors into answers: one page for all statuses, and the true status always kept.

htmx swaps nothing of an answer with an error status (but 422); one listener in static/app.js shows
the sentence of the page as a toast. Callers that ask for JSON get the same sentence as
problem details, with a code; so do programs that show who they are by a header.

What is away for a while is a 503 with `Retry-After`, and its page comes back by itself: it asks for
the same again, or sends the same form again.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import quote, urlsplit

import anyio
from anyio.to_thread import run_sync
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from kombu.exceptions import OperationalError as BrokerError
from psycopg.errors import NotNullViolation
from redis.exceptions import RedisError
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from app.kit.errors import (
    AccountClosed,
    AppError,
    ChangedAtOnce,
    InvalidInput,
    NotFound,
    NotSignedIn,
    SetupError,
)
from app.kit.outages import RETRY_SECONDS, Outage, find_outage
from app.kit.sentences import Sentence
from app.kit.storage import is_full
from app.web.assets.addresses import address, own_path, without_site_path
from app.web.http.bearer import CHALLENGE, HEADER, comes_with_token
from app.web.http.htmx import is_htmx, respond
from app.web.http.inputs import NO_PAGE
from app.web.http.middleware import MARK, SAFE_METHODS

logger = logging.getLogger(__name__)

_FORM_SECONDS = 1.0
_AT_ONCE = Sentence(
    "Somebody changed the same thing at this moment. Look at it again, then repeat what you did."
)
_WRONG_INPUT = Sentence("Something in the input is not right.")


def error_page(
    request: Request, error: AppError, *, fields: Sequence[tuple[str, str]] | None = None
) -> Response:
    """Returns the page that tells an error. `fields` are of a form that can be sent again from
    there.
    """
    errors = error.errors if isinstance(error, InvalidInput) else []
    is_away = error.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    headers = {"Retry-After": str(RETRY_SECONDS)} if is_away else {}
    if wants_json(request):
        if error.status_code == HTTPStatus.UNAUTHORIZED:
            headers[CHALLENGE] = _challenge(request)
        return _problem(error, errors, headers)
    context = {
        "status": error.status_code,
        "message": error.message,
        "errors": errors,
        "request_id": getattr(request.state, "request_id", ""),
        "retry_seconds": RETRY_SECONDS if is_away else None,
        "comes_back": is_away and request.method in SAFE_METHODS,
        "fields": fields,
    }
    return respond(
        request, page="error.html", context=context, status=error.status_code, headers=headers
    )


def _problem(error: AppError, errors: list[str], headers: Mapping[str, str]) -> Response:
    """Problem details of RFC 9457; `code` tells refusals of one status apart."""
    content = {
        "title": HTTPStatus(error.status_code).phrase,
        "status": error.status_code,
        "detail": error.message,
        "code": error.code,
        "errors": errors,
    }
    return JSONResponse(content, error.status_code, headers, media_type="application/problem+json")


def _challenge(request: Request) -> str:
    """Returns what a request must show; RFC 6750 tells a token that is over from none at all."""
    return 'Bearer error="invalid_token"' if comes_with_token(request.headers) else "Bearer"


def wants_json(request: Request) -> bool:
    """Whether problem details are wanted: nobody is sent to a form who could not fill it in.

    A browser behind a proxy that asks for a password of its own sends `Authorization`, too.
    """
    if comes_with_token(request.headers):
        return True
    accepted = request.headers.get("Accept", "")
    if "text/html" in accepted:
        return False
    is_json = "application/json" in accepted or "application/problem+json" in accepted
    is_program = HEADER in request.headers and "HX-Request" not in request.headers
    return is_json or is_program


class _FormAgain(Exception):
    """Ends a handler with the form that was refused. What the handler did is rolled back."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


@contextmanager
def form_again(request: Request, show: Callable[[InvalidInput], Response]) -> Iterator[None]:
    """Answers refused input with its form, as `show` makes it; programs get the problem itself.

    Nothing of what the block did is stored.
    """
    try:
        yield
    except InvalidInput as error:
        if wants_json(request):
            raise
        raise _FormAgain(show(error)) from error


def _handle_form_again(_: Request, error: Exception) -> Response:
    assert isinstance(error, _FormAgain)  # noqa: S101 - registered for this class only
    return error.response


def sign_in_url(request: Request) -> str:
    """Returns the sign-in page, coming back to the page that the person sees now."""
    shown = own_path(request)
    query = request.url.query
    if is_htmx(request) or request.method not in SAFE_METHODS:
        shown, query = _page_of(
            request.headers.get("HX-Current-URL") or request.headers.get("Referer") or "/"
        )
    target = f"{shown}?{query}" if query else shown
    return address(f"/sign-in?next={quote(target, safe='/')}")


def _page_of(url: str) -> tuple[str, str]:
    """Our path and the query of an address that a browser sent; else those of the start page."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "/", ""
    return without_site_path(parts.path) or "/", parts.query


async def _handle_app_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)  # noqa: S101 - registered for this class only
    if isinstance(error, Outage | SetupError) and (outage := find_outage(error)):
        return await outage_page(request, outage, error)
    if isinstance(error, AccountClosed):
        response = error_page(request, error)
        response.headers[MARK] = "account-closed"  # the judging page keeps the answer and says why
        return response
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
    if isinstance(error.__cause__, OSError) and (outage := find_outage(error.__cause__)):
        # The framework blames the sender where our folder for incoming files is full.
        return error_page(request, outage)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return error_page(request, NotFound(NO_PAGE))
    response = error_page(request, AppError(str(error.detail), status_code=error.status_code))
    response.headers.update(error.headers or {})
    return response


def _handle_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    problems = error.errors()
    if problems and all(problem["loc"][0] == "path" for problem in problems):
        # A number was expected where the address has something else: no such page.
        return error_page(request, NotFound(NO_PAGE))
    lines = [f"{_field_name(problem['loc'])}: {problem['msg']}" for problem in problems]
    return error_page(request, InvalidInput(_WRONG_INPUT, errors=lines))


def _handle_unstorable(request: Request, error: Exception) -> Response:
    """A value that the database has no place for came past the checks: still no crash of ours."""
    logger.error("A value that cannot be stored came past the checks: %s", error)
    return error_page(request, InvalidInput(_WRONG_INPUT))


def _handle_two_at_once(request: Request, error: Exception) -> Response:
    """Two requests wanted the same place and the checks let both through: one of them has it. A
    value that is missing is no such thing, but a fault of ours."""
    if isinstance(error, IntegrityError) and isinstance(error.orig, NotNullViolation):
        raise error
    logger.error("A rule of the database refused what came past the checks: %s", error)
    return error_page(request, ChangedAtOnce(_AT_ONCE))


def _field_name(location: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in location[1:]) or str(location[0])


async def _handle_trouble(request: Request, error: Exception) -> Response:
    """Answers an error that is an outage; any other is raised again, as the crash that it is."""
    outage = find_outage(error)
    if outage is None:
        raise error
    return await outage_page(request, outage, error)


async def outage_page(request: Request, outage: Outage, error: Exception) -> Response:
    """Say what is away, and to the log what it said of itself, in one line."""
    if outage.cause == "database" and await run_sync(is_full, abandon_on_cancel=True):
        outage = Outage("disk")  # which is why the database does not start
    said = str(getattr(error, "orig", None) or error).partition("\n")[0]
    logger.warning("%s (%s: %s)", outage.message, type(error).__name__, said)
    return error_page(request, outage, fields=await _sent_fields(request))


async def _sent_fields(request: Request) -> list[tuple[str, str]] | None:
    """The fields of the form that was sent, for a page that sends it again; None where it cannot.

    Files are not kept in a page, and neither are passwords.
    """
    kind = request.headers.get("Content-Type", "").partition(";")[0]
    if request.method != "POST" or kind not in {"", "application/x-www-form-urlencoded"}:
        return None
    with anyio.move_on_after(_FORM_SECONDS):
        form = await request.form() if kind else FormData()  # read before, for the handler
        fields = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
        return None if any("password" in name for name, _ in fields) else fields
    return None


def add_error_handlers(app: FastAPI) -> None:
    for kind in (SQLAlchemyError, RedisError, BrokerError, OSError):
        app.add_exception_handler(kind, _handle_trouble)
    app.add_exception_handler(_FormAgain, _handle_form_again)
    app.add_exception_handler(AppError, _handle_app_error)
    app.add_exception_handler(HTTPException, _handle_http_error)
    app.add_exception_handler(RequestValidationError, _handle_invalid_request)
    app.add_exception_handler(DataError, _handle_unstorable)
    app.add_exception_handler(IntegrityError, _handle_two_at_once)
