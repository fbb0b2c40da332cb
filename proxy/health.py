"""Is this process alive, is it ready, and what is it made of?"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from importlib import metadata
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpResponse, JsonResponse

from proxy import database, hosts, policies, worker
from proxy.requests import OwnError, RoadRequest
from savings import stats

SERVICE = "headroom-proxy"
VERSION = metadata.version(SERVICE)
LATE_AFTER = timedelta(minutes=10)
DISABLED = {"enabled": False, "ready": True, "status": "disabled"}


def livez(request: RoadRequest) -> HttpResponse:
    """The process answers: that is all."""
    if refused := _refused(request):
        return refused
    return JsonResponse({"service": SERVICE, "status": "healthy", "alive": True, **_stamp()})


async def readyz(request: RoadRequest) -> HttpResponse:
    """200 when requests can be served and recorded, else 503; each part says how it is."""
    if refused := _refused(request):
        return refused
    checks = await _checks()
    is_ready = _is_ready(checks)
    body = {"service": SERVICE, "status": _word(checks, is_ready), "ready": is_ready, **_stamp(), "checks": checks}
    return JsonResponse(body, status=200 if is_ready else 503)


async def report(request: RoadRequest) -> HttpResponse:
    """The same checks with the configuration, always 200."""
    if refused := _refused(request):
        return refused
    checks = await _checks()
    is_ready = _is_ready(checks)
    config = {
        "backend": "anthropic",
        "optimize": settings.OPTIMIZE,
        "cache": worker.current().answers is not None,
        "rate_limit": worker.current().throttle.is_enabled,
        "mode": settings.MODE,
        "code_aware": policies.code_awareness(),
        "ml": "on" if settings.ML_MODEL_DIR else "off",
        "database": "sqlite" if settings.IS_EMBEDDED else "postgresql",
        "workers": settings.WORKERS,
    }
    return JsonResponse(
        {"status": _word(checks, is_ready), "ready": is_ready, "version": VERSION, "config": config, "checks": checks}
    )


def _refused(request: RoadRequest) -> HttpResponse | None:
    try:
        hosts.check(request.exchange, settings.ALLOWED_NAMES)
    except hosts.ForbiddenHost as exc:
        return OwnError.of(exc, "openai")
    return None


def _stamp() -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "version": VERSION,
        "timestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "uptime_seconds": round(time.monotonic() - worker.current().started, 3),
    }


def _is_ready(checks: dict[str, dict[str, Any]]) -> bool:
    """An unreachable database alone is survivable: the journal takes the rows until it is full."""
    if not checks["startup"]["ready"] or not checks["http_client"]["ready"] or not checks["journal"]["ready"]:
        return False
    return bool(checks["database"]["ready"] or checks["journal"]["status"] == "healthy")


def _word(checks: dict[str, dict[str, Any]], is_ready: bool) -> str:
    if not is_ready:
        return "unhealthy"
    return "healthy" if all(check["ready"] for check in checks.values()) else "degraded"


async def _checks() -> dict[str, dict[str, Any]]:
    here = worker.current()
    journal = here.journal.status()
    answers, rolled_at = await _ask_database()
    return {
        "startup": _check(here.is_ready),
        "http_client": _check(here.pool.is_open),
        "cache": _shared(here.answers is not None, is_whole=here.answers is None or here.answers.is_whole),
        "rate_limiter": _shared(here.throttle.is_enabled, is_whole=here.throttle.is_whole),
        "memory": DISABLED,
        "database": _check(answers),
        "journal": _check(not journal.problem and journal.share < 1),
        "worker": _periodic_work(here, rolled_at),
    }


def _check(is_ready: bool) -> dict[str, Any]:
    return {"enabled": True, "ready": is_ready, "status": "healthy" if is_ready else "unhealthy"}


def _periodic_work(here: worker.Worker, rolled_at: datetime | None) -> dict[str, Any]:
    """Without it figures get old, and requests go on as ever. Celery elsewhere is known by what it did last."""
    if here.is_periodic_work_done is not None:
        is_done = here.is_periodic_work_done()
    elif rolled_at is not None and settings.REDIS_URL and not settings.IS_EMBEDDED:
        is_done = datetime.now(UTC) - rolled_at < LATE_AFTER
    else:
        return DISABLED
    return {"enabled": True, "ready": is_done, "status": "healthy" if is_done else "degraded"}


def _shared(is_enabled: bool, *, is_whole: bool) -> dict[str, Any]:
    """What several workers share in Redis: without it `degraded`, and the proxy is still ready."""
    if not is_enabled:
        return DISABLED
    return {"enabled": True, "ready": is_whole, "status": "healthy" if is_whole else "degraded"}


async def _ask_database() -> tuple[bool, datetime | None]:
    """Whether it answers, and when figures were last summed up."""
    try:
        return True, await database.run(stats.rolled_at)
    except (DatabaseError, TimeoutError):
        return False, None
