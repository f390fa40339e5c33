"""Signed cookies: who is signed in, and toasts that wait for the next page."""

import hashlib
from dataclasses import dataclass

from itsdangerous import BadSignature, URLSafeSerializer, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from app.kit.public_url import path_of
from app.kit.sentences import pack, unpack
from app.kit.settings import Settings
from app.models import User
from app.services.accounts.accounts import SESSION_DAYS

KNOWN_SECONDS = 365 * 24 * 3600
SESSION_SECONDS = SESSION_DAYS * 24 * 3600
FLASH_SECONDS = 60

Toast = tuple[str, str]
"""(kind, text); kind is ok, info, warn or bad."""


@dataclass(frozen=True)
class SessionMark:
    """The content of a session cookie. It holds while the session of this key is kept."""

    user_id: int
    key: str


@dataclass(frozen=True)
class Cookies:
    """Makes and reads our cookies with the installation's key."""

    sessions: URLSafeTimedSerializer
    flashes: URLSafeSerializer
    known: URLSafeSerializer
    mark: str
    """Tells this installation from others on the same host: browsers do not look at the port."""
    is_secure: bool
    path: str
    """Of two installations below two paths of one host neither gets the other's."""

    @classmethod
    def of(cls, settings: Settings) -> "Cookies":
        key = settings.resolve_secret_key()
        return cls(
            sessions=URLSafeTimedSerializer(key, salt="session"),
            flashes=URLSafeSerializer(key, salt="flash"),
            known=URLSafeSerializer(key, salt="known"),
            mark=hashlib.sha256(f"cookies of {key}".encode()).hexdigest()[:8],
            is_secure=settings.base_url.startswith("https://"),
            path=path_of(settings.public_url) or "/",
        )

    @property
    def session_name(self) -> str:
        return f"illume_session_{self.mark}"

    @property
    def flash_name(self) -> str:
        return f"illume_flash_{self.mark}"

    @property
    def known_name(self) -> str:
        return f"illume_known_{self.mark}"

    def sign_in(self, response: Response, user: User, key: str) -> None:
        value = self.sessions.dumps([user.id, key])
        self._set(response, self.session_name, value, SESSION_SECONDS)
        self._set(response, self.known_name, self.known.dumps(user.id), KNOWN_SECONDS)

    def read_known(self, request: Request) -> int | None:
        """Returns the person who signed in last in this browser; it lets nobody in."""
        try:
            return int(self.known.loads(request.cookies.get(self.known_name, "")))
        except (BadSignature, TypeError, ValueError):
            return None

    def sign_out(self, response: Response) -> None:
        response.delete_cookie(self.session_name, path=self.path)

    def read_session(self, request: Request) -> SessionMark | None:
        try:
            user_id, key = self.sessions.loads(
                request.cookies.get(self.session_name, ""), max_age=SESSION_SECONDS
            )
            return SessionMark(int(user_id), str(key))
        except (BadSignature, TypeError, ValueError):
            return None

    def keep_toasts(self, response: Response, toasts: list[Toast]) -> None:
        """Keeps toasts for the next page, as Sentences: it may be in any language."""
        kept = [(kind, pack(text)) for kind, text in toasts]
        self._set(response, self.flash_name, str(self.flashes.dumps(kept)), FLASH_SECONDS)

    def read_toasts(self, request: Request) -> list[Toast]:
        try:
            kept = self.flashes.loads(request.cookies.get(self.flash_name, ""))
            return [(str(kind), unpack(text)) for kind, text in kept]
        except (BadSignature, KeyError, TypeError, ValueError):
            return []

    def _set(self, response: Response, name: str, value: str | bytes, seconds: int) -> None:
        response.set_cookie(
            name,
            value if isinstance(value, str) else value.decode(),
            max_age=seconds,
            httponly=True,
            samesite="lax",
            secure=self.is_secure,
            path=self.path,
        )


def get_cookies(request: Request) -> Cookies:
    cookies = request.app.state.cookies
    if not isinstance(cookies, Cookies):  # only a badly wired application gets here
        raise TypeError("the application has no cookies")
    return cookies
