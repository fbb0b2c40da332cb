from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management import call_command

from tests.savings.databases import database, database_url

__all__ = ["database", "database_url"]


@pytest.fixture
def road_database(database: str) -> Iterator[str]:
    """An empty database with the road's tables as well; its vendor."""
    call_command("migrate", "proxy", verbosity=0)
    yield database
