"""Does the server listen where the settings say that it does?"""

from __future__ import annotations

import functools
import ipaddress
from typing import Any

ELSEWHERE = (
    "this proxy was told that it listens on this machine only (HEADROOM_HOST), where nobody needs a key, but was reached on "
    "another address: set HEADROOM_HOST to the address it listens on"
)


def is_elsewhere(server: Any) -> bool:
    """Whether a connection came in on another address than one of this machine's own loopback; not for local sockets."""
    return server is not None and server[1] is not None and not _is_loopback(server[0])


@functools.lru_cache(maxsize=64)
def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
