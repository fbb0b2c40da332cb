"""Where a browser really is, when a server stands in front of us."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def of_client(request: HttpRequest) -> str:
    """The address to count wrong passwords by: with a server in front, the last address that one itself has seen."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.PUBLIC_URL else ""
    last: str = forwarded.rpartition(",")[2].strip() or request.META.get("REMOTE_ADDR", "")
    return last
