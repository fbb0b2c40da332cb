"""The one way from the road to the database: a few threads of our own, each job giving its connection back.

Nothing that every request needs goes this way; it is for what is new in a conversation and for our own routes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import close_old_connections, connections

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4
JOB_TIMEOUT_S = 20.0

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="database")


async def run(job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a job that uses the ORM. Raises what it raises, or TimeoutError."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(JOB_TIMEOUT_S):
        return await loop.run_in_executor(_threads, lambda: _with_connection(job, *args, **kwargs))


def _with_connection(job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return job(*args, **kwargs)
    finally:
        # These threads live as long as the process: a file stays open in each, a pooled connection goes back.
        if not settings.IS_EMBEDDED:
            close_old_connections()


def close() -> None:
    """Close every thread's connection; for shutdown and tests."""
    for _ in range(THREADS):
        _threads.submit(connections.close_all).result(timeout=JOB_TIMEOUT_S)
