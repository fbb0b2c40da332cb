"""Who changed what, and when. Every module that writes rows of this package says so here, in its own transaction."""

from __future__ import annotations

from typing import Any

from django.db.models import Model

from budgets.models import Change

COMMAND_LINE = "command line"
START = "settings at start"
MAX_LABEL_CHARS = 300
MAX_ACTOR_CHARS = 200


def record(action: str, row: Model, *, by: str, **detail: Any) -> None:
    """Write down a change. `detail` holds plain values, and never a secret: callers pass what was changed to what."""
    Change.objects.create(
        actor=by[:MAX_ACTOR_CHARS],
        action=action,
        kind=str(row._meta.verbose_name),
        object_id=str(row.pk),
        label=str(row)[:MAX_LABEL_CHARS],
        detail={name: _plain(value) for name, value in detail.items()},
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
