"""An installation that is served below a path of its host."""

from collections.abc import Callable, Iterator

import pytest

from app.kit.settings import get_settings


@pytest.fixture
def below_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets PUBLIC_URL for the applications that the test makes."""

    def stand_at(public_url: str) -> None:
        monkeypatch.setenv("PUBLIC_URL", public_url)
        get_settings.cache_clear()

    yield stand_at
    monkeypatch.undo()
    get_settings.cache_clear()
