"""There are two ways to the ledger's tables: that of new databases, and that of those which grew with us."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from tests.conftest import fresh_postgres
from tests.savings.databases import connected

AT_ONCE, LAST_STEP = ("savings", "0001_at_once"), ("savings", "0011_shortest_times")
TABLES = (
    "SELECT table_name, ordinal_position, column_name, data_type, character_maximum_length, is_nullable, column_default"
    " FROM information_schema.columns WHERE table_name LIKE 'savings%'",
    "SELECT indexname, indexdef FROM pg_indexes WHERE tablename LIKE 'savings%'",
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid::regclass::text LIKE 'savings%'",
)


@pytest.mark.postgres
def test_a_new_database_and_one_that_grew_have_the_same_tables(django_db_blocker: Any) -> None:
    with django_db_blocker.unblock():
        with fresh_postgres() as url, connected(url):
            MigrationExecutor(connection).migrate([AT_ONCE])
            at_once = tables()
        with fresh_postgres() as url, connected(url):
            executor = MigrationExecutor(connection)
            executor.loader = MigrationLoader(connection, replace_migrations=False)
            executor.migrate([LAST_STEP])
            assert tables() == at_once
            assert MigrationExecutor(connection).migration_plan([AT_ONCE]) == [], "it has nothing left to do"


def tables() -> set[tuple[object, ...]]:
    """Every column, index and constraint."""
    found: set[tuple[object, ...]] = set()
    with connection.cursor() as cursor:
        for query in TABLES:
            cursor.execute(query)
            found.update(cursor.fetchall())
    assert len(found) > 200
    return found
