"""Errors of a sampling server, sorted by what the worker does about them."""

from app.kit.errors import AppError


class ServerError(AppError):
    """The sampling server cannot be used at all, so the run ends; the message says what to mend."""

    code = "sampling_server.unusable"


class NoSuchAddress(ServerError):
    """The sampling server does not know this address, or not this model (404, 405)."""

    code = "sampling_server.no_such_address"


class Refused(Exception):
    """The server understood this one request and refuses it (4xx): asking again is no use."""


class Unavailable(Exception):
    """No answer to this one request after all tries: trouble of the server or on the way to it."""
