"""For load balancers and supervisors: is the process there, and can it work?"""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from app.services.readiness import check_readiness

router = APIRouter(prefix="/health")


@router.get("/live")
def live() -> JSONResponse:
    return JSONResponse({"status": "ok"})


@router.get("/ready")
def ready() -> JSONResponse:
    checks = check_readiness()
    is_ready = all(outcome == "ok" for outcome in checks.values())
    return JSONResponse(
        {"status": "ok" if is_ready else "not ready", "checks": checks},
        status_code=200 if is_ready else 503,
    )
