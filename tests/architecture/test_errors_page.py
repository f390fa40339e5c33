"""Every refusal has a code of its own, and stands on the page that lists them."""

import ast
import re
from collections import Counter

from tests.architecture.errors_page import PAGE, list_errors, write_page
from tests.architecture.test_house_rules import SOURCES, parse


def test_the_page_of_the_errors_is_as_their_classes_say() -> None:
    """After a change to an error: `python -m tests.architecture.errors_page`."""
    assert PAGE.read_text(encoding="utf-8") == write_page()


def test_every_error_has_a_code_of_its_own_and_says_what_it_means() -> None:
    errors = list_errors()
    codes = Counter(error.code for error in errors)
    assert [code for code, n in codes.items() if n > 1] == []
    for error in errors:
        assert "code" in vars(error), error
        assert re.fullmatch(r"[a-z_]+\.[a-z_]+", error.code), error
        assert (error.__doc__ or "").partition("\n")[0].endswith((".", ",", ":")), error


def test_no_class_of_an_error_is_left_off_the_page() -> None:
    """Also none of a module that the page does not load."""
    listed = {error.__name__ for error in list_errors()}
    found = {
        node.name
        for path in SOURCES
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ClassDef) and {ast.unparse(base) for base in node.bases} & listed
    }
    assert len(found) > 50
    assert found <= listed
