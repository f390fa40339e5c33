"""Static files: kept for ever under a versioned address, checked each time under the bare one."""

from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

from app.web.assets.bundles import BUNDLES, changed_at, read_static

FOR_EVER = "public, max-age=31536000, immutable"


class VersionedFiles(StaticFiles):
    """Serves the files of a folder, and bundles as if they were files in it."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        if path in BUNDLES:
            response = self._bundle(path, scope)
        else:
            response = await super().get_response(path, scope)
        is_versioned = "v" in parse_qs(scope.get("query_string", b"").decode("latin-1"))
        response.headers["Cache-Control"] = FOR_EVER if is_versioned else "no-cache"
        return response

    def _bundle(self, name: str, scope: Scope) -> Response:
        if scope["method"] not in {"GET", "HEAD"}:
            raise HTTPException(status_code=405)
        response = Response(
            read_static(name),
            headers={"ETag": f'"{changed_at(name):x}"'},
            media_type="text/css" if name.endswith(".css") else "text/javascript",
        )
        if self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response
