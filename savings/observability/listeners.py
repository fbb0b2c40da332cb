"""Who is told of booked calls."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from savings.pricing import PricedReceipt

logger = logging.getLogger("headroom.observability")

Listener = Callable[[Sequence[PricedReceipt]], None]


def tell(listeners: Sequence[Listener], entries: Sequence[PricedReceipt]) -> None:
    """Tell all of them; one that fails keeps neither the others nor the ledger from going on."""
    for listener in listeners:
        try:
            listener(entries)
        except Exception:
            logger.exception("%s could not take %d calls", listener, len(entries))
