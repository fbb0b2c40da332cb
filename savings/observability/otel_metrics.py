"""OpenTelemetry metrics of booked calls (extra `otel`). Started in each serving process, never before a fork."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from savings.pricing import PricedReceipt

NANO_PER_USD = 1_000_000_000
FLUSH_TIMEOUT_MS = 2000
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """A meter provider of our own, apart from any that the process may have."""

    def __init__(
        self,
        *,
        exporter: str,
        service: str,
        endpoint: str = "",
        headers: Mapping[str, str] | None = None,
        interval_ms: int = 10_000,
    ) -> None:
        reader = PeriodicExportingMetricReader(_exporter(exporter, endpoint, headers), interval_ms)
        self._provider = MeterProvider([reader], Resource.create({"service.name": service}))
        meter = self._provider.get_meter("headroom")
        self._requests = meter.create_counter("headroom.proxy.requests", "{call}", "Calls booked in the ledger.")
        self._failed = meter.create_counter("headroom.proxy.requests.failed", "{call}", "Calls that did not end whole.")
        self._cached = meter.create_counter("headroom.proxy.requests.cached", "{call}", "Response cache hits.")
        self._input = meter.create_counter("headroom.proxy.tokens.input", "{token}", "Billed input of every class.")
        self._output = meter.create_counter("headroom.proxy.tokens.output", "{token}", "Billed output.")
        # Both may fall: what made a call longer or dearer is a loss.
        self._saved = meter.create_up_down_counter("headroom.proxy.tokens.saved", "{token}", "Estimated tokens saved.")
        self._saved_usd = meter.create_up_down_counter("headroom.proxy.savings.usd", "USD", "Saved, losses included.")
        self._cost_usd = meter.create_counter("headroom.proxy.cost.usd", "USD", "What providers charge.")
        self._cache_read = meter.create_counter(
            "headroom.proxy.cache.read_tokens", "{token}", "Read from prompt caches."
        )
        self._cache_write = meter.create_counter("headroom.proxy.cache.write_tokens", "{token}", "Written to them.")
        self._seconds = {
            field: meter.create_histogram(
                f"headroom.proxy.{name}.duration", "s", what, explicit_bucket_boundaries_advisory=BUCKETS_S
            )
            for field, name, what in (
                ("latency_ms", "request", "Whole requests."),
                ("overhead_ms", "overhead", "Until they were sent on."),
                ("ttfb_ms", "ttfb", "From sending to the provider's first byte."),
            )
        }

    def __call__(self, entries: Sequence[PricedReceipt]) -> None:
        """Count calls that were booked."""
        for entry in entries:
            self._count(entry)

    def close(self) -> None:
        """Send what was not sent yet, and end."""
        self._provider.shutdown(timeout_millis=FLUSH_TIMEOUT_MS)

    def _count(self, entry: PricedReceipt) -> None:
        admission, settlement, usage = entry.receipt.admission, entry.receipt.settlement, entry.usage
        labels = {"provider": admission.provider, "model": settlement.model or admission.model}
        writes = (usage.cache_write_5m or 0) + (usage.cache_write_1h or 0)
        self._requests.add(1, labels | {"cached": admission.origin == "response_cache"})
        if settlement.status != "complete" or (settlement.http_status or 0) >= 400:
            self._failed.add(1, labels)
        if admission.origin == "response_cache":
            self._cached.add(1, labels)
        self._input.add((usage.input_fresh or 0) + (usage.cache_read or 0) + writes, labels)
        self._output.add(usage.output or 0, labels)
        self._cache_read.add(usage.cache_read or 0, labels)
        self._cache_write.add(writes, labels)
        self._cost_usd.add((entry.price.cost_nano_usd or 0) / NANO_PER_USD, labels)
        if not admission.is_observed:
            self._saved.add((admission.tokens_before or 0) - (admission.tokens_after or 0), labels)
            self._saved_usd.add((entry.saving.nano_usd or 0) / NANO_PER_USD, labels)
        for name, histogram in self._seconds.items():
            if (milliseconds := getattr(settlement, name)) is not None:
                histogram.record(milliseconds / 1000, labels)


def _exporter(name: str, endpoint: str, headers: Mapping[str, str] | None) -> MetricExporter:
    if name == "console":
        return ConsoleMetricExporter(out=sys.stdout)
    # None lets the library read OTEL_EXPORTER_OTLP_ENDPOINT and its kin.
    return OTLPMetricExporter(endpoint=endpoint or None, headers=dict(headers) if headers else None)
