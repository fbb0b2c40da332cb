"""Pages of lists that may be very long: nothing is counted to its end."""

from __future__ import annotations

from functools import cached_property
from typing import Any, cast

from django.core.paginator import Paginator
from django.db.models import QuerySet

MAX_ROWS = 5000
"""So many rows can be leafed through. Beyond, a filter by day goes back in one step, and leafing would take ever longer."""


class BoundedPaginator(Paginator):
    """Counts up to MAX_ROWS, so that a list of ten million rows opens as quickly as one of ten thousand."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, or MAX_ROWS where there are more."""
        rows = cast("QuerySet[Any]", self.object_list)
        return rows.order_by().values("pk")[:MAX_ROWS].count()
