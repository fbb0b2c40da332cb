"""Everything that one serving process holds open: built when it starts serving, taken down when it stops."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from budgets.throttle import Throttle
from budgets.till import Till
from proxy.accounting.books import Books
from proxy.conversations import Conversations
from proxy.histories import Histories
from proxy.refused_edits import RefusedEdits
from proxy.response_cache import Answers
from proxy.retrieval.offers import Offers
from proxy.upstream import Pool
from savings.journal import Journal
from savings.observability.bodies import Waiting
from savings.pricing import PriceBook


@dataclass(slots=True)
class Worker:
    """The pools and the journal of this process. `started` and `started_at` are for uptime and health."""

    journal: Journal
    prices: PriceBook
    till: Till
    throttle: Throttle
    answers: Answers | None = None
    """The response cache, where there is one."""
    pool: Pool = field(default_factory=Pool)
    conversations: Conversations = field(default_factory=Conversations)
    histories: Histories = field(default_factory=Histories)
    offers: Offers = field(default_factory=Offers)
    refused_edits: RefusedEdits = field(default_factory=RefusedEdits)
    bodies: Waiting | None = None
    """Where prompts and answers wait to be booked; `None` unless they are to be kept."""
    books: Books = field(default_factory=Books)
    started: float = field(default_factory=time.monotonic)
    is_ready: bool = False
    is_periodic_work_done: Callable[[], bool] | None = None
    """Whether the process for periodic work lives; `None` where others see to it."""


_current: Worker | None = None


def current() -> Worker:
    """The worker of this process. Raises RuntimeError before it serves."""
    if _current is None:
        raise RuntimeError("this process does not serve requests")
    return _current


def install(worker: Worker | None) -> None:
    """Make a worker the one of this process, or take it away."""
    global _current
    _current = worker
