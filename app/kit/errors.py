"""The one family of errors that people see: a sentence that says what to do, and an HTTP status."""


class AppError(Exception):
    """Base of every expected failure. Unexpected ones propagate and are logged as crashes."""

    status_code = 400

    def __init__(self, message: str, *, status_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        if status_code is not None:
            self.status_code = status_code


class SetupError(AppError):
    """The installation or its configuration is not ready; the message names the mend."""

    status_code = 503


class NotSignedIn(AppError):
    status_code = 401


class AccountClosed(NotSignedIn):
    """Nobody can sign in with this account until an administrator opens it again."""


class NotAllowed(AppError):
    status_code = 403


class NotFound(AppError):
    """Not there, or not yours: both look the same from outside."""

    status_code = 404


class Conflict(AppError):
    """The request was fine, the state it met was not."""

    status_code = 409


class StaleVersion(Conflict):
    """A newer version of the same answer is stored; the caller shows both."""


class InvalidTransition(Conflict):
    """A status change that the lifecycle table does not know."""


class LostRun(Conflict):
    """Another worker took this run or shard over; whoever sees this stops without writing."""


class InvalidInput(AppError):
    """Bad input; `errors` lists what is wrong, one line each, where there is more than one."""

    status_code = 422

    def __init__(self, message: str, *, errors: list[str] | None = None) -> None:
        super().__init__(message)
        self.errors = errors or []
