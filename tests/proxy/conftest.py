from __future__ import annotations

import pytest

from tests.savings.databases import database, database_url

__all__ = ["database", "database_url"]


@pytest.fixture
def road_database(database: str) -> str:
    """An empty database with the road's tables as well; its vendor."""
    return database
