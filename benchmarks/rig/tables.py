"""Fill a table of PostgreSQL quickly."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg


@contextlib.contextmanager
def without_indexes(connection: psycopg.Connection[Any], table: str) -> Iterator[None]:
    """Drop the indexes of a table, but those of its constraints, and make them again at the end of the block, with statistics."""
    dropped = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s"
        " AND indexname NOT IN (SELECT conname FROM pg_constraint)",
        [table],
    ).fetchall()
    for name, _ in dropped:
        connection.execute(f'DROP INDEX "{name}"')
    yield
    connection.execute("SET maintenance_work_mem = '256MB'")
    for _, definition in dropped:
        connection.execute(definition)
    connection.execute(f'VACUUM ANALYZE "{table}"')
