"""For load balancers and supervisors: is the process there, and can it work?"""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from app.kit.outages import RETRY_SECONDS
from app.web.http.probes import Probes

router = APIRouter(prefix="/health")


# Both without a thread and without a place at the database: they answer when all are taken.
@router.get("/live")
async def live() -> JSONResponse:
    return JSONResponse({"status": "ok"})


@router.get("/ready")
async def ready(request: Request) -> JSONResponse:
    probes: Probes = request.app.state.probes
    checks = await probes.ask() or {"all": "The checks take too long."}
    if all(outcome == "ok" for outcome in checks.values()):
        return JSONResponse({"status": "ok", "checks": dict(checks)})
    return JSONResponse(
        {"status": "not ready", "checks": dict(checks)},
        status_code=503,
        headers={"Retry-After": str(RETRY_SECONDS)},
    )
