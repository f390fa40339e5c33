"""Signed cookies: who is signed in, and toasts that wait for the next page."""

from dataclasses import dataclass

from itsdangerous import BadSignature, URLSafeSerializer, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from app.models import User
from app.settings import Settings
from app.texts import pack, unpack

SESSION_COOKIE = "illume_session"
FLASH_COOKIE = "illume_flash"
SESSION_SECONDS = 30 * 24 * 3600
FLASH_SECONDS = 60

Toast = tuple[str, str]
"""(kind, text); kind is ok, info, warn or bad."""


@dataclass(frozen=True)
class SessionMark:
    """What a session cookie says. It holds while the account's session number stays the same."""

    user_id: int
    session_number: int


@dataclass(frozen=True)
class Cookies:
    """Makes and reads our cookies with the installation's key."""

    sessions: URLSafeTimedSerializer
    flashes: URLSafeSerializer
    is_secure: bool

    @classmethod
    def of(cls, settings: Settings) -> "Cookies":
        key = settings.resolve_secret_key()
        return cls(
            sessions=URLSafeTimedSerializer(key, salt="session"),
            flashes=URLSafeSerializer(key, salt="flash"),
            is_secure=settings.base_url.startswith("https://"),
        )

    def sign_in(self, response: Response, user: User) -> None:
        value = self.sessions.dumps([user.id, user.session_number])
        self._set(response, SESSION_COOKIE, value, SESSION_SECONDS)

    def sign_out(self, response: Response) -> None:
        response.delete_cookie(SESSION_COOKIE)

    def read_session(self, request: Request) -> SessionMark | None:
        try:
            user_id, number = self.sessions.loads(
                request.cookies.get(SESSION_COOKIE, ""), max_age=SESSION_SECONDS
            )
            return SessionMark(int(user_id), int(number))
        except (BadSignature, TypeError, ValueError):
            return None

    def keep_toasts(self, response: Response, toasts: list[Toast]) -> None:
        """What is said stays a Sentence: the page that shows it may be in any language."""
        kept = [(kind, pack(text)) for kind, text in toasts]
        self._set(response, FLASH_COOKIE, str(self.flashes.dumps(kept)), FLASH_SECONDS)

    def read_toasts(self, request: Request) -> list[Toast]:
        try:
            kept = self.flashes.loads(request.cookies.get(FLASH_COOKIE, ""))
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
        )


def get_cookies(request: Request) -> Cookies:
    cookies = request.app.state.cookies
    if not isinstance(cookies, Cookies):  # only a badly wired application gets here
        raise TypeError("the application has no cookies")
    return cookies
