"""A newer version starts beside an older one: what the older one writes fits into the newer one's tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations import AddField
from django.db.migrations.loader import MigrationLoader

from tests.conftest import fresh_postgres
from tests.savings.databases import connected, migrated_postgres

OURS = ("budgets", "proxy", "savings")


def later_columns() -> Iterator[tuple[str, str]]:
    """(table, column) of every column that is required and came after its table."""
    for (app, _), migration in MigrationLoader(None).disk_migrations.items():
        for operation in migration.operations if app in OURS else ():
            if isinstance(operation, AddField):
                model = apps.get_model(app, operation.model_name)
                field = model._meta.get_field(operation.name)
                if not field.null and field.column is not None:
                    yield model._meta.db_table, field.column


@pytest.mark.postgres
def test_columns_that_came_later_are_filled_in_for_older_workers(django_db_blocker: Any) -> None:
    later = set(later_columns())
    assert ("savings_ledgerentry", "conversation") in later
    defaults = "SELECT table_name, column_name FROM information_schema.columns WHERE column_default <> ''"
    with django_db_blocker.unblock(), fresh_postgres(template=migrated_postgres()) as url, connected(url):
        cursor = connection.cursor()
        cursor.execute(defaults)
        filled_in = set(cursor.fetchall())
    assert later - filled_in == set()
