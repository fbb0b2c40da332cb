"""Decisions that a request needs: from the memory of this process, or else from the store."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from django.db import DatabaseError

from proxy.decisions import Decided, Memory

logger = logging.getLogger(__name__)


class Loads(Protocol):
    """Where decisions outlive the process."""

    async def load(self, keys: list[str]) -> dict[str, Decided]:
        """The stored decisions among these keys. May raise DatabaseError or TimeoutError."""


async def recalled(keys: Sequence[str], memory: Memory, store: Loads) -> dict[str, Decided]:
    """The decisions among these keys. Those that are stored are missing while the store is down: their results go out
    longer than they did."""
    found = {key: decided for key, decided in memory.find(keys).items() if decided is not None}
    unknown = [key for key in keys if key not in found]
    if unknown:
        try:
            stored = await store.load(unknown)
        except (DatabaseError, TimeoutError):
            logger.warning("the decision store is down; %d results go out longer than they did", len(unknown))
            return found
        for key, decided in stored.items():
            memory.put(key, decided)
        found |= stored
    return found
