"""May this page or name talk to us? A web page can point its own name at 127.0.0.1 and then read our answers."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from proxy.values import Exchange


class ForbiddenHost(Exception):
    """The Host or Origin header names somebody else's site."""


def check(exchange: Exchange, allowed_names: frozenset[str], *, is_page: bool = False) -> None:
    """Raise ForbiddenHost unless the request was addressed to us, from no page or from one of ours.

    IP addresses are always fine, as only names can be rebound. `allowed_names` are names of ours besides localhost. A link
    on another site may lead to a page of ours (`is_page`), which that site can then neither read nor frame.
    """
    host = exchange.header(b"host")
    if not _is_ours(_name(host), allowed_names):
        raise ForbiddenHost(f"this proxy is not called {host!r}; add the name to HEADROOM_ALLOWED_HOSTS")
    origin = exchange.header(b"origin")
    if origin and not _is_same_site(origin, host, allowed_names):
        raise ForbiddenHost(f"pages of {origin!r} may not use this route")
    if exchange.header(b"sec-fetch-site") == "cross-site" and not (is_page and _is_followed_link(exchange)):
        raise ForbiddenHost("pages of other sites may not use this route")


def _is_followed_link(exchange: Exchange) -> bool:
    is_navigation = (
        exchange.header(b"sec-fetch-mode") == "navigate" and exchange.header(b"sec-fetch-dest") == "document"
    )
    return exchange.method == "GET" and is_navigation


def _is_same_site(origin: str, host: str, allowed_names: frozenset[str]) -> bool:
    site = urlsplit(origin)
    return site.scheme in ("http", "https") and (site.netloc == host or (site.hostname or "") in allowed_names)


def _name(host: str) -> str:
    """The name in a Host header, "" when it holds anything but a name and a port."""
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
    else:
        name, colon, digits = host.partition(":")
        port = colon + digits
    if port and not port[1:].isdigit():
        return ""
    return name.lower().rstrip(".")


def _is_ours(name: str, allowed_names: frozenset[str]) -> bool:
    if name == "localhost" or name.endswith(".localhost") or name in allowed_names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
