"""Every address of the road, as a table of contents."""

from __future__ import annotations

from django.http.response import HttpResponseBase
from ninja import NinjaAPI

from proxy import cached_answers, compression, gateway, health, metrics, originals, reports
from proxy.gateway import Route, serve
from proxy.providers import anthropic, openai_chat, openai_responses, passthrough
from proxy.requests import RoadRequest

api = NinjaAPI(title="Headroom", docs_url=None, openapi_url=None, urls_namespace="road")

READ = ["GET", "HEAD"]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
MESSAGES = Route("/v1/messages", anthropic)
COUNT_TOKENS = Route("/v1/messages/count_tokens", passthrough.anthropic, is_billable=False)
CHAT_COMPLETIONS = Route("/v1/chat/completions", openai_chat)
RESPONSES = Route("/v1/responses", openai_responses)
EMBEDDINGS = Route("/v1/embeddings", passthrough.openai)


@api.post("/v1/messages")
async def messages(request: RoadRequest) -> HttpResponseBase:
    return await serve(request, MESSAGES)


@api.post("/v1/messages/count_tokens")
async def count_tokens(request: RoadRequest) -> HttpResponseBase:
    return await serve(request, COUNT_TOKENS)


@api.post("/v1/chat/completions")
async def chat_completions(request: RoadRequest) -> HttpResponseBase:
    return await serve(request, CHAT_COMPLETIONS)


@api.post("/v1/responses")
async def responses(request: RoadRequest) -> HttpResponseBase:
    return await serve(request, RESPONSES)


@api.post("/v1/embeddings")
async def embeddings(request: RoadRequest) -> HttpResponseBase:
    return await serve(request, EMBEDDINGS)


@api.post("/v1/compress")
async def compress(request: RoadRequest) -> HttpResponseBase:
    return await compression.compress(request)


@api.get("/v1/retrieve/stats")
async def retrieve_stats(request: RoadRequest) -> HttpResponseBase:
    return await originals.stats(request)


@api.post("/v1/retrieve/tool_call")
async def retrieve_tool_call(request: RoadRequest) -> HttpResponseBase:
    return await originals.answer_tool_call(request)


@api.post("/v1/retrieve")
async def retrieve(request: RoadRequest) -> HttpResponseBase:
    return await originals.retrieve(request)


@api.get("/v1/retrieve/{hash}")
async def retrieve_by_hash(request: RoadRequest, hash: str) -> HttpResponseBase:
    return await originals.retrieve(request, hash)


@api.post("/cache/clear")
async def clear_cache(request: RoadRequest) -> HttpResponseBase:
    return await cached_answers.clear(request)


@api.api_operation(READ, "/livez")
async def livez(request: RoadRequest) -> HttpResponseBase:
    return health.livez(request)


@api.api_operation(READ, "/readyz")
async def readyz(request: RoadRequest) -> HttpResponseBase:
    return await health.readyz(request)


@api.api_operation(READ, "/health")
async def health_report(request: RoadRequest) -> HttpResponseBase:
    return await health.report(request)


@api.api_operation(READ, "/metrics")
async def metrics_page(request: RoadRequest) -> HttpResponseBase:
    return await metrics.page(request)


@api.api_operation(READ, "/stats")
async def stats(request: RoadRequest) -> HttpResponseBase:
    return await reports.stats(request)


@api.api_operation(READ, "/stats-history")
async def stats_history(request: RoadRequest) -> HttpResponseBase:
    return await reports.stats_history(request)


async def another_method(request: RoadRequest) -> HttpResponseBase:
    return await serve(request, gateway.passthrough_route(request))


for path in (
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/embeddings",
):
    api.api_operation([method for method in METHODS if method != "POST"], path)(another_method)


@api.api_operation(METHODS, "/")
async def root(request: RoadRequest) -> HttpResponseBase:
    return await serve(request, gateway.passthrough_route(request))


@api.api_operation(METHODS, "/{path:rest}")
async def anything_else(request: RoadRequest, rest: str) -> HttpResponseBase:
    return await serve(request, gateway.passthrough_route(request))
