"""Figures of this proxy for machines. A key is needed where keys are required."""

from __future__ import annotations

import asyncio

from django.http import HttpResponse
from django.http.response import HttpResponseBase

from proxy import errors, own_routes, worker
from proxy.requests import OwnError, RoadRequest
from savings.observability import prometheus


async def page(request: RoadRequest) -> HttpResponseBase:
    """All counters and histograms, of all workers of this host, in Prometheus' text format."""
    try:
        await own_routes.read(request)
    except tuple(errors.HTTP) as exc:
        return OwnError.of(exc, "openai")
    prometheus.JOURNAL_SHARE.set(worker.current().journal.status().share)
    text, content_type = await asyncio.to_thread(prometheus.page)
    return HttpResponse(text, content_type=content_type)
