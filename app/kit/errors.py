"""The one family of errors that people see: a sentence that says what to do, an HTTP status, and a
code by which programs tell refusals apart."""


class AppError(Exception):
    """The request was refused for a reason that has no code of its own; see the sentence."""

    # The base of every expected failure. Unexpected ones propagate and are logged as crashes.

    status_code = 400
    code = "request.refused"
    """Stable while sentences change. Every class has its own; docs/errors.md lists them."""

    def __init__(self, message: str, *, status_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        if status_code is not None:
            self.status_code = status_code


class SetupError(AppError):
    """The installation or its configuration is not ready; the message names the mend."""

    status_code = 503
    code = "installation.not_ready"


class NotSignedIn(AppError):
    """Nobody is signed in, and no token was sent."""

    status_code = 401
    code = "session.missing"


class AccountClosed(NotSignedIn):
    """Nobody can sign in with this account until an administrator opens it again."""

    code = "account.closed"


class TokenUnknown(NotSignedIn):
    """The header has a token that nobody was given, or nothing that looks like one."""

    code = "token.unknown"


class TokenRevoked(NotSignedIn):
    """The token was revoked, or its account was closed meanwhile: make a new one."""

    code = "token.revoked"


class TokenExpired(NotSignedIn):
    """The token is past its last day: make a new one."""

    code = "token.expired"


class NotAllowed(AppError):
    """The person may see this, but not do it."""

    status_code = 403
    code = "access.denied"


class SessionNeeded(NotAllowed):
    """A token may not do this, whosever it is: it would make or change what opens doors."""

    code = "session.needed"


class ForeignOrigin(NotAllowed):
    """A page of another site asked for a change."""

    code = "origin.foreign"


class NotFound(AppError):
    """Not there, or not yours: both look the same from outside."""

    status_code = 404
    code = "resource.missing"


class Conflict(AppError):
    """The request was fine, the state it met was not."""

    status_code = 409
    code = "state.conflict"


class StaleVersion(Conflict):
    """A newer version of the same opinion or text is stored: compare, then send yours again."""

    code = "version.stale"


class ChangedAtOnce(Conflict):
    """Somebody changed the same thing at this moment: look at it again, then repeat."""

    code = "state.raced"


class InvalidTransition(Conflict):
    """A status change that the lifecycle table does not know."""

    code = "status.impossible"


class LostRun(Conflict):
    """Another worker took this run or shard over; whoever sees this stops without writing."""

    code = "run.lost"


class BodyTooLarge(AppError):
    """More bytes than this address takes."""

    status_code = 413
    code = "body.too_large"


class HostUnknown(AppError):
    """The server was asked by a name that is none of its own."""

    status_code = 421
    code = "host.unknown"


class Crash(AppError):
    """Something went wrong on the server's side; its log says more."""

    status_code = 500
    code = "server.crashed"


class InvalidInput(AppError):
    """Bad input; `errors` lists what is wrong, one line each, where there is more than one."""

    status_code = 422
    code = "input.invalid"

    def __init__(self, message: str, *, errors: list[str] | None = None) -> None:
        super().__init__(message)
        self.errors = errors or []
