"""Databases of a test's own, in the server that all tests of a process share."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from sqlalchemy import Connection, create_engine, make_url, pool, text

from app.embedded import EmbeddedServices
from app.embedded.postgres import SUPERUSER


@contextmanager
def new_database(
    services: EmbeddedServices, *, like: str | None = None, options: str = ""
) -> Iterator[str]:
    """The address of an empty database, or of a copy of the one at `like`.

    `options` are those of CREATE DATABASE. It is dropped afterwards, whoever is still connected.
    """
    assert services.database_url is not None
    name = f"test_{uuid4().hex}"
    # The superuser may also end an autovacuum worker that is looking at the database.
    postgres = make_url(services.database_url)
    maintenance, ending = (
        create_engine(address, poolclass=pool.NullPool, isolation_level="AUTOCOMMIT")
        for address in (postgres, postgres.set(username=SUPERUSER))
    )
    template = f" TEMPLATE {make_url(like).database}" if like else ""
    with maintenance.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}{template} {options}"))
    try:
        url = postgres.set(database=name)
        yield url.render_as_string(hide_password=False)
    finally:
        with ending.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A connection outside of all pools, committed at the end."""
    with create_engine(url, poolclass=pool.NullPool).begin() as connection:
        yield connection
