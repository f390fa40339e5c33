"""One line per request, with its id: readable on a terminal, JSON where machines collect it.

What people and programs send reaches the lines in writing: nothing in it begins a new line, moves
a terminal's cursor, or signs anybody in.
"""

import json
import logging
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from app.kit.streams import unblocked

request_id_var: ContextVar[str] = ContextVar("request_id", default="")

# Attributes that every record has; what is left was given as `extra`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "request_id"}


_ACTING = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Characters that a terminal acts on, that turn the reading direction, or that no stream takes."""

_SECRETS = (
    re.compile(r"""(/sign-in/link/|/join/)[^\s/?#"'<>&;,)]+"""),
    re.compile(r"\b(illume_)[\w-]{43}"),
    re.compile(r"(://[^\s/:@]*:)[^\s/@]+(?=@)"),
    # What the database says of a row that it refused: all that the row holds.
    re.compile(
        r"(\bDETAIL: ).*?(?=\[SQL: |The above exception was|During handling of|\Z)", re.DOTALL
    ),
)
"""Links and tokens that let somebody in, passwords in addresses of servers, texts of people."""


def in_writing(text: str) -> str:
    """Returns the text with each character that acts on a terminal spelled out as in JSON.

    Line ends and tabs stay.
    """
    return _ACTING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def without_secrets(text: str) -> str:
    """Returns the text with sign-in links, tokens, passwords and refused rows left out."""
    for secret in _SECRETS:
        text = secret.sub(r"\1…", text)
    return text


class RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id_var.get()
        return True


class ReadableFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        request_id = getattr(record, "request_id", "")
        mark = f" [{request_id}]" if request_id else ""
        said = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        lines = [f"{at} {record.levelname.lower():<7} {record.name}: {said}{mark}"]
        if record.exc_info:
            # Moved in, so that no line of an error can pass for a line of the log.
            trace = without_secrets(self.formatException(record.exc_info))
            lines += [f"    {line}" for line in _lines(trace)]
        return in_writing(without_secrets("\n".join(lines)))


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := getattr(record, "request_id", ""):
            line["request_id"] = request_id
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["exception"] = without_secrets(self.formatException(record.exc_info))
        return in_writing(without_secrets(json.dumps(line, default=str, ensure_ascii=False)))


def _lines(text: str) -> list[str]:
    return re.split(r"\r\n|\r|\n", text)


class _OurHandler(logging.StreamHandler[Any]):
    """Marks the handler as ours, so that a second start replaces it instead of doubling lines."""


def configure_logging(log_format: str) -> None:
    """Send everything from `info` up to the error stream, once, in the wanted form."""
    handler = _OurHandler(unblocked(sys.stderr))
    handler.setFormatter(JsonFormatter() if log_format == "json" else ReadableFormatter())
    handler.addFilter(RequestIdFilter())
    root = logging.getLogger()
    root.handlers = [old for old in root.handlers if not isinstance(old, _OurHandler)]
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = name != "uvicorn.access"  # we write our own line per request
