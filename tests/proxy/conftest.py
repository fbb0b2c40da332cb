from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from proxy import database as road
from proxy.stores import DatabaseStore
from tests.savings.databases import database, database_url

__all__ = ["database", "database_url"]


@pytest.fixture
def road_database(database: str) -> str:
    """An empty database with the road's tables as well; its vendor."""
    return database


@pytest.fixture
def store(road_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabaseStore]:
    """The store of several workers, on a database of this test."""
    with ThreadPoolExecutor(1) as thread:  # one that has not been connected to the database of another test
        monkeypatch.setattr(road, "_outage", road.Outage())
        monkeypatch.setattr(road, "_threads", thread)
        yield DatabaseStore()
        thread.submit(connections.close_all).result()
