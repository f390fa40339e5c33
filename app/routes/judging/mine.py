"""A person's own work, over all their projects. It shows nobody else's figures."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.web.access.deps import CurrentUser, SessionDep
from app.web.http.htmx import respond
from app.web.pages.judging.mine import build_my_work
from app.web.pages.judging.today import day_start

router = APIRouter()


@router.get("/mine")
def show(request: Request, user: CurrentUser, session: SessionDep) -> Response:
    work = build_my_work(session, user, today=day_start(request.cookies))
    return respond(request, page="mine/show.html", context={"work": work})
