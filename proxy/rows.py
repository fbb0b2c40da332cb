"""New rows in as little time as can be: an agent waits for them, and compiling a query takes longer than the query does."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import AutoField, Field, Model


def insert(new: Sequence[Model], *, unless: str = "") -> None:
    """Insert rows of one model, within a transaction. Raises IntegrityError where one is there already, but for `unless`:
    what follows `ON CONFLICT`, in the words of SQLite and PostgreSQL both."""
    if new:
        statement, fields = _statement(type(new[0]), unless)
        here = connections[DEFAULT_DB_ALIAS]  # not by its proxy, which looks for it each time
        with here.cursor() as cursor:
            cursor.executemany(
                statement,
                [[field.get_db_prep_save(getattr(row, field.attname), here) for field in fields] for row in new],
            )


def delete(model: type[Model], keys: Collection[str]) -> None:
    """Delete the rows of a model with these primary keys, to which nothing refers."""
    quoted, marks = connection.ops.quote_name, ", ".join(["%s"] * len(keys))
    table, column = quoted(model._meta.db_table), quoted(str(model._meta.pk.column))
    with connection.cursor() as cursor:
        # The names are those of our own columns.
        cursor.execute(f"DELETE FROM {table} WHERE {column} IN ({marks})", list(keys))  # noqa: S608


@cache
def _statement(model: type[Model], unless: str) -> tuple[str, list[Field[Any, Any]]]:
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, AutoField)]
    quoted = connection.ops.quote_name
    columns = ", ".join(quoted(str(field.column)) for field in fields)
    marks = ", ".join(["%s"] * len(fields))
    conflict = f" ON CONFLICT {unless}" if unless else ""
    # The names are those of our own columns.
    return f"INSERT INTO {quoted(model._meta.db_table)} ({columns}) VALUES ({marks}){conflict}", fields  # noqa: S608
