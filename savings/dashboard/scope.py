"""Whose figures somebody may see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeAlias

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Scope:
    """Everything, or what one team did. `team` is its name, `None` for everything."""

    team: str | None = None

    @property
    def labels(self) -> dict[str, str]:
        """The same as labels of rollups."""
        return {} if self.team is None else {"team": self.team}

    def of(self, entries: QuerySet[Any]) -> QuerySet[Any]:
        """Those ledger entries that may be seen."""
        return entries.filter(**self.labels)


ScopedView: TypeAlias = Callable[Concatenate[HttpRequest, Scope, P], HttpResponseBase]
"""A page that is told whose figures it may show."""
