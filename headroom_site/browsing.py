"""What browsers are served by: Django's own handler, and the socket of open pages.

Imported with the first of them. The road needs none of it, and it is a good part of what there is to load.
"""

from __future__ import annotations

from django.core.handlers.asgi import ASGIHandler
from django.urls import get_resolver

from headroom_site import live

page = ASGIHandler()
socket = live.application
get_resolver().url_patterns  # noqa: B018 - read now, and not in the loop that serves
