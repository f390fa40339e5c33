"""One module per page: a frozen dataclass, and the function that fills it."""
