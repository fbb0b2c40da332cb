"""Did somebody else change a row since it was looked at?"""

from __future__ import annotations

import hashlib

from django.db.models import Model


class ChangedMeanwhile(ValueError):
    """What is to be changed is not any more what the one who asks has seen."""

    def __init__(self, row: Model) -> None:
        super().__init__(f"{row} was changed by somebody else meanwhile: look at it anew, then change it")


def of(row: Model) -> str:
    """A word that differs whenever any column of the row does."""
    columns = [str(field.value_from_object(row)) for field in row._meta.concrete_fields]
    return hashlib.sha256("\x1f".join(columns).encode()).hexdigest()[:16]


def check(row: Model, seen: str) -> None:
    """Raise ChangedMeanwhile unless the row, locked, is as it was `seen`; "" is for those who do not care."""
    if seen and of(row) != seen:
        raise ChangedMeanwhile(row)
