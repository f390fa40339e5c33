"""Real PostgreSQL and Redis without installing either: servers from two wheels, as our children."""

from app.embedded.home import HomeLock, open_home
from app.embedded.programs import find_postgres_program
from app.embedded.services import EmbeddedServices, embedded_services

__all__ = [
    "EmbeddedServices",
    "HomeLock",
    "embedded_services",
    "find_postgres_program",
    "open_home",
]
