"""Static files: kept for ever under a versioned address, checked each time under the bare one."""

from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.web.assets.bundles import BUNDLES, read_static

FOR_EVER = "public, max-age=31536000, immutable"


class VersionedFiles(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        if path in BUNDLES:
            kind = "text/css" if path.endswith(".css") else "text/javascript"
            response = Response(read_static(path), media_type=kind)
        else:
            response = await super().get_response(path, scope)
        is_versioned = "v" in parse_qs(scope.get("query_string", b"").decode("latin-1"))
        response.headers["Cache-Control"] = FOR_EVER if is_versioned else "no-cache"
        return response
