"""Big inputs are shrunk in a process of their own: a thread would starve the loop through the GIL.

What goes where depends on size, and never on how long anything takes; both ways give the same bytes.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any, TypeVar

from headroom import pipeline, retrieval, tokens
from headroom.messages import Result, compress
from headroom.values import Policy, Scope, Shrunk, ToolCall
from proxy import lineage
from proxy.ml import prose
from proxy.retrieval import words

T = TypeVar("T")

INLINE_MAX_CHARS = 24_000
"""About 3 ms of work; coding agents' usual results are below it."""
INLINE_AT_FIRST_CHARS = 200_000
"""So much is done here as long as the helper is starting for the first time: others wait for some 20 ms once, and whoever
asked does not wait for a second."""
WARM_CHARS = 2_000
"""Who sends a result of this size is likely to send a big one soon: the helper, which takes a second to start, does so now."""
MAX_CHARS = 32 * 1024 * 1024
"""Longer texts are left alone: ten times the largest context window there is."""

MAX_WAITING_CHARS = 8 * 1024 * 1024
"""About a second of work. What comes while so much waits goes out as it came: agents wait for every one of them."""


class Busy(RuntimeError):
    """The helper has more to do than anybody wants to wait for."""

    def __init__(self) -> None:
        super().__init__("too much is being worked on at the moment; try again soon")


class Offload:
    """The helper process of one worker. It starts when it is needed and ends with its parent.

    `starts_early`: with the first results of some size, as those who serve want it.
    With a trained model all texts go there: it takes seconds where the rest takes milliseconds, and it needs memory.
    """

    def __init__(self, model_dir: str = "", *, starts_early: bool = False) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._waiting_chars = 0
        self._starts_early = starts_early
        self._model_dir = model_dir
        inline_max_chars = INLINE_AT_FIRST_CHARS if starts_early else INLINE_MAX_CHARS
        self._inline_max_chars = 0 if model_dir else inline_max_chars

    async def shrink(self, text: str, call: ToolCall, policy: Policy) -> Shrunk:
        """Shrink one text, wherever its size says. A helper that dies leaves the text as it is."""
        if words.is_retrieval(call):
            return _left_alone(text, "retrieved")
        self._warm(len(text))
        if len(text) <= self._inline_max_chars:
            return pipeline.shrink(text, call=call, policy=policy)
        if len(text) > MAX_CHARS:
            return _left_alone(text, "too_large")
        work = partial(_shrink, text, call, policy, self._model_dir)
        try:
            return await self._helped(len(text), work)
        except Busy:
            return _left_alone(text, "busy")
        except BrokenProcessPool:
            self.close()
            return _left_alone(text, "failed:helper_process")

    async def compress(
        self,
        messages: list[Any],
        model: str,
        policy: Policy,
        scope: Scope,
        *,
        token_budget: int | None = None,
    ) -> Result:
        """Shrink whole messages, wherever their size says. Raises Busy, or BrokenProcessPool when the helper dies of them."""
        work = partial(
            _compress,
            messages,
            self._model_dir,
            model=model,
            policy=policy,
            scope=scope,
            token_budget=token_budget,
            explain=True,
        )
        size_chars = _chars(messages)
        self._warm(size_chars)
        if size_chars <= self._inline_max_chars:
            return work()
        return await self._helped(size_chars, work)

    async def excerpt(
        self, text: str, *, query: str, start_line: int | None, end_line: int | None
    ) -> retrieval.Excerpt:
        """Search an original, wherever its size says. Raises Busy, also where the helper dies of it."""
        work = partial(retrieval.answer, text, query=query, start_line=start_line, end_line=end_line)
        if len(text) <= self._inline_max_chars:
            return work()
        try:
            return await self._helped(len(text), work)
        except BrokenProcessPool as exc:
            self.close()
            raise Busy from exc

    async def _helped(self, size_chars: int, work: Callable[[], T]) -> T:
        """Have the helper do it, unless so much waits for it already. Raises Busy."""
        if self._waiting_chars and self._waiting_chars + size_chars > MAX_WAITING_CHARS:
            raise Busy
        self._waiting_chars += size_chars
        try:
            return await asyncio.get_running_loop().run_in_executor(self._started(), work)
        finally:
            self._waiting_chars -= size_chars

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Spawned, not forked: a fork would copy locks, sockets and threads of a serving process.
            self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare)
        return self._pool

    def close(self) -> None:
        """Stop the helper; a later call starts a new one."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _warm(self, chars: int) -> None:
        """Let the helper start while there is nothing for it to do yet."""
        if self._starts_early and self._pool is None and chars >= WARM_CHARS:
            self._started().submit(tokens.count, "").add_done_callback(self._has_started)

    def _has_started(self, _: Future[int]) -> None:
        # Also where it failed: what may have killed one helper is left to the next.
        self._inline_max_chars = min(self._inline_max_chars, INLINE_MAX_CHARS)


def _shrink(text: str, call: ToolCall, policy: Policy, model_dir: str) -> Shrunk:
    return pipeline.shrink(text, call=call, policy=policy, extra=prose.extra(model_dir))


def _compress(messages: list[Any], model_dir: str, **options: Any) -> Result:
    return compress(messages, extra=prose.extra(model_dir), **options)


def _chars(value: Any) -> int:
    """Characters in all strings of a JSON value."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_chars, value.values()))
    return sum(map(_chars, value)) if isinstance(value, list) else 0


def _left_alone(text: str, reason: str) -> Shrunk:
    estimated_tokens = len(text) // 4
    return Shrunk(text, estimated_tokens, estimated_tokens, reason=reason)


def _prepare() -> None:
    """Runs in the helper before its first text."""
    lineage.when_parent_dies(lambda: os._exit(1))
    tokens.load()
    # What exists now lives as long as the process: the collector need not walk it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
