"""Real exporters against receivers that decode what arrives."""

from __future__ import annotations

import base64
import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from savings.observability import langfuse
from savings.observability.otel_metrics import Metrics
from savings.pricing import Price, PricedReceipt, Saving
from savings.receipts import Usage
from tests.savings.receipts import make_receipt


class Receiver:
    """What was posted: path, header lines, body."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.heard.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


def booked() -> PricedReceipt:
    receipt = make_receipt(
        {"provider": "anthropic", "model": "claude-x", "session": "s1", "tokens_before": 100, "tokens_after": 40},
        latency_ms=1500.0,
        overhead_ms=2.0,
        model="claude-x-1",
    )
    usage = Usage(input_fresh=3, cache_read=50, cache_write_5m=7, output=9)
    return PricedReceipt(receipt, usage, "measured", Price(2_000_000_000, "test", ""), Saving(500_000_000))


def test_a_collector_gets_the_counters(receiver):
    metrics = Metrics(
        exporter="otlp_http",
        service="my-proxy",
        endpoint=f"{receiver.url}/v1/metrics",
        headers={"x-token": "t"},
        interval_ms=60_000,
    )
    metrics([booked(), booked()])
    metrics.close()
    path, headers, body = receiver.heard[-1]
    assert (path, headers["x-token"]) == ("/v1/metrics", "t")
    resource = ExportMetricsServiceRequest.FromString(body).resource_metrics[0]
    assert ("service.name", "my-proxy") in {(a.key, a.value.string_value) for a in resource.resource.attributes}
    found = {m.name: m for scope in resource.scope_metrics for m in scope.metrics}
    point = found["headroom.proxy.requests"].sum.data_points[0]
    assert point.as_int == 2
    assert {a.key: a.value.string_value for a in point.attributes}["model"] == "claude-x-1"
    assert found["headroom.proxy.tokens.input"].sum.data_points[0].as_int == 120
    assert found["headroom.proxy.savings.usd"].sum.data_points[0].as_double == 1.0
    assert found["headroom.proxy.request.duration"].histogram.data_points[0].sum == 3.0


def test_the_console_shows_them_too(capfd):
    metrics = Metrics(exporter="console", service="my-proxy", interval_ms=60_000)
    metrics([booked()])
    metrics.close()
    assert "headroom.proxy.cache.read_tokens" in capfd.readouterr().out


def test_langfuse_gets_a_generation_without_any_text(receiver):
    traces = langfuse.Traces(langfuse.exporter(receiver.url + "/", "pk-1", "sk-2"), service="my-proxy")
    traces([booked()])
    traces.close()
    path, headers, body = receiver.heard[-1]
    assert path == "/api/public/otel/v1/traces"
    assert headers["authorization"] == "Basic " + base64.b64encode(b"pk-1:sk-2").decode()
    assert headers["x-langfuse-ingestion-version"] == "4"
    spans = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans
    whole = next(span for span in spans if span.name == langfuse.SPAN)
    part = next(span for span in spans if span.name == langfuse.COMPRESSION_SPAN)
    attributes = {a.key: a.value.string_value for a in whole.attributes}
    assert json.loads(attributes["langfuse.observation.usage_details"]) == {
        "input": 3,
        "cache_read_input_tokens": 50,
        "cache_creation_input_tokens": 7,
        "output": 9,
    }
    assert json.loads(attributes["langfuse.observation.cost_details"]) == {"total": 2.0}
    assert attributes["session.id"] == "s1"
    assert whole.end_time_unix_nano - whole.start_time_unix_nano == 1_500_000_000
    assert part.parent_span_id == whole.span_id
    assert not {"langfuse.observation.input", "langfuse.observation.output"} & attributes.keys()
