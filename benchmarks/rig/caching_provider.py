"""A provider that bills prompt caching by the rules of `proxy.replay.billing`, and answers "ok".

`CACHE_LIFE_S=… TOKEN_RATIO=… uvicorn benchmarks.rig.caching_provider:app`. `TOKEN_RATIO` are its tokens for one of o200k.
`POST /sim/reset` forgets everything and may set `ttl_5m` and `token_ratio`; `/count` says how many calls there were.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from proxy.replay import billing
from proxy.replay.billing import Block, Cache
from proxy.replay.prompts import Prompts
from proxy.values import Dialect

OUTPUT_TOKENS = 20


class Account:
    """What this provider has cached and how it counts."""

    def __init__(self) -> None:
        self.reset()

    def reset(self, ttl_5m: float = 300.0, token_ratio: float = 1.0) -> None:
        self.prompts, self.caches = Prompts(), {"anthropic": {}, "openai": {}}
        self.life_s, self.token_ratio = ttl_5m, token_ratio

    calls = 0
    caches: dict[str, Cache]

    def bill(self, body: dict[str, Any], dialect: Dialect) -> Any:
        self.calls += 1
        blocks = [self._counted(block) for block in self.prompts.blocks(body, dialect)]
        bill = billing.biller(dialect, bills_writes=False)
        # The rules know lifetimes of their own; another lifetime is a clock that runs faster.
        at_s = time.monotonic() * billing.LIFE_S["5m"] / self.life_s
        billed = bill(blocks, self.caches[dialect], at_s=at_s, scope=str(body.get("model")).encode())
        self.caches[dialect] = billed.cache
        return billed.usage

    def _counted(self, block: Block) -> Block:
        return replace(block, tokens=round(block.tokens * self.token_ratio))


account = Account()


async def app(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    if scope["type"] != "http":
        return
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    body = json.loads(b"".join(parts) or b"{}")
    answer: dict[str, Any] = {"calls": account.calls}
    if scope["path"] == "/sim/reset":
        account.reset(**body)
    elif scope["path"].endswith("/messages"):
        answer = _message(body)
    elif scope["path"].endswith("/chat/completions"):
        answer = _completion(body)
    head = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


def _message(body: dict[str, Any]) -> dict[str, Any]:
    usage = account.bill(body, "anthropic")
    five_minutes, one_hour = usage.cache_write_5m or 0, usage.cache_write_1h or 0
    return {
        "id": "msg_benchmark",
        "type": "message",
        "role": "assistant",
        "model": body.get("model"),
        "content": [{"type": "text", "text": "ok"}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": usage.input_fresh,
            "cache_read_input_tokens": usage.cache_read,
            "cache_creation_input_tokens": five_minutes + one_hour,
            "cache_creation": {
                "ephemeral_5m_input_tokens": five_minutes,
                "ephemeral_1h_input_tokens": one_hour,
            },
            "output_tokens": OUTPUT_TOKENS,
        },
    }


def _completion(body: dict[str, Any]) -> dict[str, Any]:
    usage = account.bill(body, "openai")
    total = (usage.input_fresh or 0) + (usage.cache_read or 0)
    return {
        "id": "chatcmpl-benchmark",
        "object": "chat.completion",
        "model": body.get("model"),
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": total,
            "completion_tokens": OUTPUT_TOKENS,
            "total_tokens": total + OUTPUT_TOKENS,
            "prompt_tokens_details": {"cached_tokens": usage.cache_read},
        },
    }
