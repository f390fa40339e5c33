"""The start page: projects, open rounds, own progress. Colours and language of the pages."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from app.services.accounts.accounts import safe_path
from app.web.access.deps import CurrentUser, OptionalUser, SessionDep
from app.web.assets.addresses import cookie_path
from app.web.http.htmx import redirect, respond
from app.web.language.languages import LANGUAGE_COOKIE
from app.web.pages.judging.today import day_start
from app.web.pages.projects.home import build_home
from app.web.render.templating import static_url

router = APIRouter()

THEME_COOKIE = "theme"
YEAR_SECONDS = 365 * 24 * 3600


@router.get("/")
def show_home(user: CurrentUser, session: SessionDep, request: Request) -> Response:
    home = build_home(session, user, today=day_start(request.cookies))
    return respond(request, page="home/show.html", context={"home": home})


@router.get("/favicon.ico")
def show_mark() -> Response:
    """Answers with the mark of ILLUME: browsers ask here for every answer that is no page, such as
    pictures or JSON.
    """
    return RedirectResponse(static_url("mark.svg"))


@router.post("/theme")
def set_theme(
    request: Request,
    theme: Annotated[Literal["light", "dark", "system"], Form()],
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Sets light or dark without JavaScript; app.js sets the same cookie. Readable by the script,
    holds no secret.
    """
    response = redirect(request, safe_path(next))
    response.set_cookie(
        THEME_COOKIE,
        theme,
        max_age=YEAR_SECONDS,
        samesite="lax",
        secure=request.url.scheme == "https",
        path=cookie_path(),
    )
    return response


@router.post("/language")
def set_language(
    request: Request,
    user: OptionalUser,
    language: Annotated[Literal["en", "de"], Form()],
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Sets the language, kept with the account for every device, and in a cookie for pages before
    signing in.
    """
    if user is not None:
        user.language = language
    response = redirect(request, safe_path(next))
    response.set_cookie(
        LANGUAGE_COOKIE,
        language,
        max_age=YEAR_SECONDS,
        samesite="lax",
        httponly=True,
        secure=request.url.scheme == "https",
        path=cookie_path(),
    )
    return response
