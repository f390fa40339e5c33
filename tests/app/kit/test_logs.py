"""What stands in the log: everything in writing, nothing that signs anybody in."""

import json
import logging
import sys

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.kit.logs import JsonFormatter, ReadableFormatter, in_writing, without_secrets
from app.models import Project
from app.services.accounts.accounts import new_token
from app.services.accounts.tokens import PREFIX


def line_of(formatter: logging.Formatter, text: str, error: Exception | None = None) -> str:
    info = None
    if error is not None:
        try:
            raise error
        except type(error):
            info = sys.exc_info()
    record = logging.LogRecord("app.web", logging.INFO, __file__, 1, "%s", (text,), info)
    return formatter.format(record)


FORGED = "done\n12:00:00 error   app.web: forged\r\x1b[2K\x9b31m\u202etxt.exe\u2028\ud800"


@pytest.mark.parametrize("formatter", [ReadableFormatter(), JsonFormatter()])
def test_a_text_from_outside_stays_on_its_line_and_acts_on_no_terminal(
    formatter: logging.Formatter,
) -> None:
    line = line_of(formatter, FORGED)
    assert len(line.splitlines()) == 1
    assert line.isprintable()
    line.encode()
    assert "forged" in line
    assert "\\u001b[2K" in line


def test_lines_of_json_stay_json() -> None:
    line = json.loads(line_of(JsonFormatter(), FORGED, ValueError(FORGED)))
    assert line["message"] == FORGED
    assert FORGED.partition("\r")[0] in line["exception"]


def test_an_error_is_moved_in_so_that_its_lines_pass_for_no_other() -> None:
    first, *others = line_of(ReadableFormatter(), "crashed", ValueError(FORGED)).split("\n")
    assert first.endswith("crashed")
    assert others[-1].startswith("    ")
    assert all(line.startswith("    ") and line.isprintable() for line in others)
    assert any("forged" in line for line in others)


@pytest.mark.parametrize("formatter", [ReadableFormatter(), JsonFormatter()])
def test_nothing_in_a_line_lets_anybody_in(formatter: logging.Formatter) -> None:
    token = new_token()
    said = (
        f"GET /below/sign-in/link/{token} and http://host/join/{token}?x=1 with "
        f"{PREFIX}{token} at postgresql+psycopg://illume:{token}@db:5432/illume"
    )
    line = line_of(formatter, said, RuntimeError(f'"/join/{token}" {PREFIX}{token}'))
    assert token not in line
    assert "/below/sign-in/link/…" in line
    assert "://illume:…@db:5432/illume" in line


def test_what_is_no_secret_stays() -> None:
    said = "GET /sign-in and /projects/join/ in http://host:80/a@b illume_session"
    assert without_secrets(said) == said
    assert in_writing("größe 項目 🎈\n\t–") == "größe 項目 🎈\n\t–"


@pytest.mark.parametrize("formatter", [ReadableFormatter(), JsonFormatter()])
def test_what_people_wrote_stays_out_when_the_database_refuses_it(
    session: Session, formatter: logging.Formatter
) -> None:
    wrote = "what nobody\nshould read"
    project = Project(name=wrote, slug="Not Plain", pseudonym_secret="x")
    session.add(project)
    with pytest.raises(IntegrityError) as refused:
        session.flush()
    shown = line_of(formatter, "crashed", refused.value)
    assert "slug_is_plain" in shown
    assert "INSERT INTO project" in shown
    assert "nobody" not in shown
    assert "should read" not in shown
