"""`illume up`: everything one machine needs, as children of one process that keeps them running."""

from app.supervisor.supervise import up

__all__ = ["up"]
