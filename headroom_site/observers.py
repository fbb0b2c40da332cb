"""Which listeners a serving process has, as the settings say: wiring, and nothing else."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from importlib import import_module, util
from typing import Any

from django.conf import settings

from savings.observability import listeners, prometheus
from savings.observability.bodies import Waiting
from savings.observability.request_log import RequestLog
from savings.pricing import PricedReceipt


class Misconfigured(ValueError):
    """A listener that was asked for cannot work."""


def check() -> None:
    """Raise Misconfigured for settings that ask for what is not there."""
    if settings.LOG_FILE is not None:
        try:
            RequestLog(settings.LOG_FILE).close()
        except OSError as exc:
            raise Misconfigured(f"--log-file {settings.LOG_FILE} cannot be written: {exc.strerror}") from exc
    if (settings.OTEL_METRICS_ENABLED or settings.LANGFUSE_ENABLED) and not _has_otel():
        raise Misconfigured(
            "OpenTelemetry and Langfuse need an extra: pip install 'headroom-proxy[otel]' (in a checkout: '.[otel]')"
        )
    if settings.LANGFUSE_ENABLED and not (settings.LANGFUSE_PUBLIC_KEY and settings.LANGFUSE_SECRET_KEY):
        raise Misconfigured("HEADROOM_LANGFUSE_ENABLED needs LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY")


class Observers:
    """The listeners of one process, open. Made in the process that serves: what they start does not survive a fork."""

    def __init__(self) -> None:
        self.bodies = Waiting() if settings.LOG_MESSAGES else None
        self._log = self._request_log()
        self._remote: list[Any] = [*_otel(), *_langfuse()]
        last = [self.bodies] if self.bodies is not None else []
        self._listeners: list[listeners.Listener] = [
            prometheus.record,
            *([self._log] if self._log is not None else []),
            *self._remote,
            *last,  # it lets go of what the log still needs
        ]

    def tell(self, entries: Sequence[PricedReceipt]) -> None:
        """Calls were booked."""
        listeners.tell(self._listeners, entries)

    def close(self) -> None:
        """Send what waits, and end. Takes up to some seconds when nobody is there to take it."""
        for remote in self._remote:
            remote.close()
        if self._log is not None:
            self._log.close()

    def _request_log(self) -> RequestLog | None:
        if settings.LOG_FILE is None:
            return None
        log = RequestLog(settings.LOG_FILE, self.bodies.recall if self.bodies is not None else None)
        if threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, lambda number, frame: log.reopen())
        return log


def _has_otel() -> bool:
    return all(
        util.find_spec(name) is not None for name in ("opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter")
    )


def _otel() -> list[Any]:
    if not settings.OTEL_METRICS_ENABLED:
        return []
    metrics = import_module("savings.observability.otel_metrics")
    return [
        metrics.Metrics(
            exporter=settings.OTEL_METRICS_EXPORTER,
            service=settings.OTEL_SERVICE_NAME,
            endpoint=settings.OTEL_METRICS_ENDPOINT,
            headers=settings.OTEL_METRICS_HEADERS,
            interval_ms=settings.OTEL_METRICS_EXPORT_INTERVAL_MS,
        )
    ]


def _langfuse() -> list[Any]:
    if not settings.LANGFUSE_ENABLED:
        return []
    langfuse = import_module("savings.observability.langfuse")
    exporter = langfuse.exporter(settings.LANGFUSE_BASE_URL, settings.LANGFUSE_PUBLIC_KEY, settings.LANGFUSE_SECRET_KEY)
    return [langfuse.Traces(exporter, service=settings.OTEL_SERVICE_NAME)]
