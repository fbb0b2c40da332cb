"""What happens from time to time. Each task calls one function and may run twice without harm."""

from __future__ import annotations

from datetime import UTC, datetime

from headroom_site.celery import app
from proxy import decisions


@app.task(name="headroom.forget_unused")  # type: ignore[untyped-decorator]
def forget_unused() -> int:
    """Delete decisions and originals whose conversations ended long ago. Returns how many rows went."""
    return decisions.prune(datetime.now(UTC), decisions.lifetime())
