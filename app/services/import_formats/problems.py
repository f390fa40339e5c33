"""What is wrong with a data file, gathered as a whole before anything is stored."""

from app.errors import InvalidInput

MAX_LISTED = 200


class Problems:
    """Collects one line per problem; keeps the first ones and counts all."""

    def __init__(self) -> None:
        self.count = 0
        self._lines: list[str] = []

    def add(self, place: str, text: str) -> None:
        self.count += 1
        if len(self._lines) < MAX_LISTED:
            self._lines.append(f"{place}: {text}")

    def raise_if_any(self) -> None:
        """Raises InvalidInput with every line, so that nothing is half-imported."""
        if not self.count:
            return
        lines = list(self._lines)
        if self.count > len(lines):
            lines.append(f"… and {self.count - len(lines):,} more")
        if self.count == 1:
            message = f"Nothing was imported. {lines[0]}"
        else:
            message = f"Nothing was imported: {self.count:,} problems. The first is {lines[0]}"
        raise InvalidInput(message, errors=lines)
