"""The web application: middleware, static files, routers and error handlers; nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.kit.logs import configure_logging
from app.kit.resources import STATIC
from app.kit.settings import Settings, get_settings
from app.routes.accounts import accounts, people
from app.routes.dataset import images, imports, items
from app.routes.judging import judging as judge
from app.routes.judging import keys as judging_keys
from app.routes.judging import mine, practice, practice_items, questions
from app.routes.operation import health
from app.routes.projects import archive, guidelines, home, members, projects
from app.routes.quality import adjudication, checks
from app.routes.quality import people as people_of_projects
from app.routes.releases import adapters, releases
from app.routes.rounds import admission, comparison, item_map, playground, rounds, side_by_side
from app.routes.runs import runs
from app.services.operation.readiness import check_readiness
from app.web.access.deps import make_places
from app.web.assets.addresses import site_path
from app.web.assets.static import VersionedFiles
from app.web.http.compression import Compress
from app.web.http.errors import add_error_handlers, error_page
from app.web.http.hosts import KnownHost
from app.web.http.images import PictureLine
from app.web.http.inputs import check_texts
from app.web.http.middleware import (
    BodyLimit,
    RequestContext,
    SameOrigin,
    SecurityHeaders,
    SpreadConnections,
)
from app.web.http.prefix import BelowPath
from app.web.http.probes import Probes
from app.web.http.sessions import Cookies

# Looked through in this order: those that people wait for come first.
ROUTES = (
    judge,
    images,
    accounts,
    adjudication,
    archive,
    checks,
    people_of_projects,
    guidelines,
    health,
    home,
    imports,
    items,
    judging_keys,
    members,
    mine,
    people,
    practice,
    practice_items,
    projects,
    questions,
    releases,
    adapters,
    rounds,
    admission,
    comparison,
    side_by_side,
    playground,
    item_map,
    runs,
)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001 - the signature is given
    configure_logging(get_settings().log_format)
    yield


def set_state(app: FastAPI, settings: Settings) -> None:
    """Give the application what all its requests share, as at its start."""
    app.state.cookies = Cookies.of(settings)
    app.state.places = make_places()
    app.state.probes = Probes(check_readiness)
    app.state.pictures = PictureLine()


def create_app() -> FastAPI:
    settings = get_settings()
    app = FastAPI(
        title="ILLUME",
        lifespan=_lifespan,
        dependencies=[Depends(check_texts)],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    set_state(app, settings)
    app.mount("/static", VersionedFiles(directory=STATIC), name="static")
    for module in ROUTES:
        app.include_router(module.router)
    add_error_handlers(app)
    # Added from the inside out: the last one sees the request first.
    app.add_middleware(BodyLimit, error_page=error_page)
    app.add_middleware(SameOrigin, settings=settings, error_page=error_page)
    app.add_middleware(KnownHost, settings=settings, error_page=error_page)
    app.add_middleware(RequestContext, error_page=error_page)
    app.add_middleware(SecurityHeaders, settings=settings)
    app.add_middleware(Compress)
    if settings.proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=settings.proxies)
    if settings.web_processes > 1:
        app.add_middleware(SpreadConnections)
    if site_path():
        app.add_middleware(BelowPath, site_path=site_path())
    return app
