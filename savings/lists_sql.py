"""Lists as one parameter of a statement, as PostgreSQL and SQLite take them: hundreds of marks cost more than the query."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import Any

from django.db import connection


def among(column: str, kind: str) -> str:
    """The condition that a column of this PostgreSQL type has one of the values; the parameter is `listed` ones."""
    if connection.vendor == "postgresql":
        return f"{column} = ANY(%s::{kind}[])"
    return f"{column} IN (SELECT value FROM JSON_EACH(%s))"


def listed(values: Iterable[Any]) -> Any:
    """Numbers, texts or UUIDs as the parameter of `among`."""
    if connection.vendor == "postgresql":
        return list(values)
    return json.dumps([value.hex if isinstance(value, uuid.UUID) else value for value in values])
