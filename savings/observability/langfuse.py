"""A trace for each booked call, to Langfuse by OTLP (extra `otel`). No prompt and no answer is in it.

Protocol: Langfuse's documentation of its OpenTelemetry endpoint, `POST <host>/api/public/otel/v1/traces` with Basic
authentication of the public and the secret key.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, Status, StatusCode, set_span_in_context

from savings.pricing import PricedReceipt

PATH = "/api/public/otel/v1/traces"
NANO = 1_000_000_000
SPAN = "headroom.request"
COMPRESSION_SPAN = "headroom.compression.pipeline"


class Traces:
    """A tracer of our own. Spans are sent by a thread in the background; a Langfuse that is away loses them."""

    def __init__(self, exporter: SpanExporter, *, service: str) -> None:
        self._provider = TracerProvider(resource=Resource.create({"service.name": service}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("headroom")

    def __call__(self, entries: Sequence[PricedReceipt]) -> None:
        """Trace calls that were booked."""
        for entry in entries:
            self._trace(entry)

    def close(self) -> None:
        """Send what was not sent yet, and end."""
        self._provider.shutdown()

    def _trace(self, entry: PricedReceipt) -> None:
        admission, settlement = entry.receipt.admission, entry.receipt.settlement
        end_ns = int(settlement.settled_at * NANO)
        start_ns = end_ns - int((settlement.latency_ms or 0) * 1_000_000)
        span = self._tracer.start_span(SPAN, start_time=start_ns)
        span.set_attributes(_attributes(entry))
        if settlement.error:
            span.set_status(Status(StatusCode.ERROR, settlement.error))
        if admission.tokens_before is not None and admission.tokens_after is not None:
            self._trace_compression(entry, span, start_ns)
        span.end(end_ns)

    def _trace_compression(self, entry: PricedReceipt, parent: Span, start_ns: int) -> None:
        admission, settlement = entry.receipt.admission, entry.receipt.settlement
        before, after = admission.tokens_before or 0, admission.tokens_after or 0
        span = self._tracer.start_span(COMPRESSION_SPAN, set_span_in_context(parent), start_time=start_ns)
        span.set_attributes(
            {
                "headroom.provider": admission.provider,
                "headroom.model": admission.model,
                "headroom.tokens.before": before,
                "headroom.tokens.after": after,
                "headroom.tokens.saved": before - after,
                "headroom.transforms_applied": list(admission.transforms),
                "headroom.reason": admission.reason,
                "session.id": admission.session,
                "user.id": admission.user,
            }
        )
        span.end(start_ns + int((settlement.overhead_ms or 0) * 1_000_000))


def exporter(base_url: str, public_key: str, secret_key: str) -> SpanExporter:
    """What sends spans to a Langfuse."""
    credentials = base64.b64encode(f"{public_key}:{secret_key}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}", "x-langfuse-ingestion-version": "4"}
    return OTLPSpanExporter(endpoint=base_url.rstrip("/") + PATH, headers=headers)


def _attributes(entry: PricedReceipt) -> dict[str, str | int | bool | list[str]]:
    admission, settlement, usage = entry.receipt.admission, entry.receipt.settlement, entry.usage
    model = settlement.model or admission.model
    tokens = {
        "input": usage.input_fresh,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation_input_tokens": _sum(usage.cache_write_5m, usage.cache_write_1h),
        "output": usage.output,
    }
    attributes: dict[str, str | int | bool | list[str]] = {
        "langfuse.observation.type": "generation",
        "langfuse.trace.name": f"{admission.provider} {admission.route}",
        "langfuse.trace.metadata.status": settlement.status,
        "langfuse.trace.metadata.reason": admission.reason,
        "langfuse.trace.metadata.project": admission.project,
        "langfuse.trace.metadata.agent": admission.agent,
        "langfuse.observation.model.name": model,
        "langfuse.observation.usage_details": json.dumps({k: v for k, v in tokens.items() if v is not None}),
        "session.id": admission.session,
        "user.id": admission.user,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": admission.provider,
        "gen_ai.request.model": admission.model,
        "gen_ai.response.model": model,
        "gen_ai.conversation.id": admission.conversation,
        "headroom.request_id": admission.request_id,
        "headroom.attempt": admission.attempt,
        "headroom.origin": admission.origin,
    }
    if entry.price.cost_nano_usd is not None:
        attributes["langfuse.observation.cost_details"] = json.dumps({"total": entry.price.cost_nano_usd / NANO})
        attributes["headroom.cost_nano_usd"] = entry.price.cost_nano_usd
    if entry.saving.nano_usd is not None:
        attributes["headroom.saved_nano_usd"] = entry.saving.nano_usd
    return attributes


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
