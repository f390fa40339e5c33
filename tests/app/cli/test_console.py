"""What commands print: texts of people as they are, and nothing that acts on the terminal."""

import pytest
from rich.table import Table

from app.cli.console import console, emphasised, print_json


def test_brackets_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("[name]")
    table.add_row("[red]wrong[/red] [/]")
    console.print("Created [link=http://evil.example]Scenes[/link] [/oops]", emphasised("[b]"))
    console.print(table)
    printed = capsys.readouterr().out
    assert "[link=http://evil.example]Scenes[/link] [/oops] [b]" in printed
    assert "[red]wrong[/red] [/]" in printed


def test_control_characters_are_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("name")
    table.add_row("a\x1b]0;title\x07b")
    console.print("a\x1b[2Jb\x9b", emphasised("\x1b[31m"), "\udcff")
    console.print(table)
    print_json({"name": "a\x9b\u202eb"})
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\x9b" not in printed
    assert "a\\u001b[2Jb\\u009b \\u001b[31m \\udcff" in printed
    assert '"a\\u009b\\u202eb"' in printed
