"""Log lines that would alarm without cause."""

from __future__ import annotations

import logging


class BrokenOff(logging.Filter):
    """Drops uvicorn's complaint about answers without an end: we end them that way when the provider did, and say so."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg != "ASGI callable returned without completing response."
