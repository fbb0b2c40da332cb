"""A provider's credential in place of a key of ours: where the client sent none of its own."""

from __future__ import annotations

import re

from budgets import gate, snapshot
from proxy.values import Dialect, Exchange, Headers

OPEN = re.compile(r"/v1/models(?:/[^/]+)?/?")
"""Beside the routes that we know, what a credential of ours may be used for: the rest of a provider's API is for its owner."""
OAUTH = "sk-ant-oat"


class RouteClosed(gate.Refused):
    """A path on which a credential of ours is not put in."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} needs a credential of the provider's own; that of this proxy is for prompts only")


def choose(client: Exchange, principal: gate.Principal, dialect: Dialect, *, is_known_route: bool) -> Headers:
    """The header line to put in, or none: the client's own credential passes. Raises RouteClosed."""
    if not principal.key_id or principal.credential_fingerprint:
        return []
    secret = snapshot.current().credential(principal.key_id, principal.owner, dialect)
    if not secret:
        return []
    is_listing = client.method in ("GET", "HEAD") and OPEN.fullmatch(client.path) is not None
    if not is_known_route and not is_listing:
        raise RouteClosed(client.path)
    if dialect == "anthropic" and not secret.startswith(OAUTH):
        return [(b"x-api-key", secret.encode())]
    return [(b"authorization", b"Bearer " + secret.encode())]
