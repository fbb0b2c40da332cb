"""Who is asking: headers in, a `Principal` out. Nothing but memory is touched, as every request passes here."""

from __future__ import annotations

import functools
import hashlib
import hmac
import ipaddress
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from django.conf import settings

from budgets import snapshot
from budgets.keys import EVERYTHING, MARK, PREFIX_CHARS, Permissions
from budgets.snapshot import Key, Snapshot

Presented = Literal["", "x-headroom-key", "authorization", "x-api-key"]

OWN_HEADER = b"x-headroom-key"
USER_HEADER = b"x-headroom-user-id"
LOCAL = "local"
MAX_USER_CHARS = 200
_MARK = MARK.encode()
_NOBODY = bytes(32)


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller. Without a key of ours only `owner` and `credential_fingerprint` say anything.

    `owner` is whose stored things it may see: the key's team, else the key; without a key `local` on this machine, else the
    peer's address. `credential_fingerprint` is a keyed hash of the provider's credential, empty when none came along;
    `presented_in` the header in which our key stood, so that the road knows whether the provider's place is taken.
    """

    owner: str
    key_id: str = ""
    key_label: str = ""
    team: str = ""
    user_label: str = ""
    credential_fingerprint: str = ""
    presented_in: Presented = ""
    permissions: Permissions = EVERYTHING


class Refused(PermissionError):
    """The caller may not come in."""


class MissingKey(Refused):
    """A key of ours is required and none came."""

    def __init__(self) -> None:
        super().__init__(
            "a key of this proxy is required: send it as x-headroom-key, or in place of the provider's key (hr_…); "
            "`headroom key create NAME` makes one"
        )


class UnknownKey(Refused):
    """The key is not one of ours."""

    def __init__(self, presented_in: str) -> None:
        super().__init__(f"the key in {presented_in} is not a key of this proxy")
        self.presented_in = presented_in


class RevokedKey(Refused):
    """The key was ours."""

    def __init__(self, key: Key) -> None:
        super().__init__(f"key {key.prefix}… ({key.name}) was revoked")
        self.key_id = key.id


class ExpiredKey(Refused):
    """The key was ours, for a time."""

    def __init__(self, key: Key) -> None:
        super().__init__(f"key {key.prefix}… ({key.name}) has expired")
        self.key_id = key.id


class NotPermitted(Refused):
    """The key is not for this."""

    def __init__(self, principal: Principal, what: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"key {principal.key_label} is only for the {what} {', '.join(allowed)}")


class KeyInUrl(Refused):
    """Addresses end up in logs and histories."""

    def __init__(self) -> None:
        super().__init__(
            "a key of this proxy does not belong into an address: send it as a header, and rotate this one"
        )


class KeysNotLoaded(RuntimeError):
    """A key came before the database could be read for the first time: nobody can say whether it is good."""

    def __init__(self) -> None:
        super().__init__("the keys of this proxy could not be read yet; try again in a moment")


def identify(
    headers: Iterable[tuple[bytes, bytes]],
    *,
    peer: str,
    require_key: bool,
    keys: Snapshot | None = None,
    now_s: float | None = None,
) -> Principal:
    """The caller behind these headers (names in lower case, as ASGI has them) and this address.

    Our key is looked for in x-headroom-key, then where the provider's stands, if it begins with hr_; the first place that
    has one decides. Raises MissingKey, UnknownKey, RevokedKey, ExpiredKey or KeysNotLoaded.
    """
    own = bearer = x_api_key = user = b""
    for name, value in headers:
        if name == OWN_HEADER:
            if own and own != value:
                raise UnknownKey("x-headroom-key")  # two of them: whoever put in the second one is not asked
            own = value
        elif name == b"authorization":
            bearer = value
        elif name == b"x-api-key":
            x_api_key = value
        elif name == USER_HEADER:
            user = value
    token = bearer[7:].strip() if bearer[:7].lower() == b"bearer " else b""
    secret, presented_in = _ours(own.strip(), token, x_api_key.strip())
    if presented_in:
        owner = _look_up(secret, presented_in, keys or snapshot.current(), time.time() if now_s is None else now_s)
    elif require_key:
        raise MissingKey
    else:
        owner = None
    credential = _credential(token or bearer, x_api_key, presented_in)
    return Principal(
        owner=owner.owner if owner else _address_owner(peer),
        key_id=owner.id if owner else "",
        key_label=owner.name if owner else "",
        team=owner.team if owner else "",
        user_label=_label(user) if user else "",
        credential_fingerprint=_fingerprint(credential) if credential else "",
        presented_in=presented_in,
        permissions=owner.permissions if owner else EVERYTHING,
    )


def check(principal: Principal, *, route: str, path: str, model: str, upstream: str, provider: str) -> None:
    """Raise NotPermitted when the caller's key is not for this route, model or upstream. `route` is "*" for unread paths."""
    may = principal.permissions
    if may is EVERYTHING:
        return
    if may.routes and route not in may.routes and path not in may.routes:
        raise NotPermitted(principal, "routes", may.routes)
    if may.upstreams and provider not in may.upstreams and upstream not in may.upstreams:
        raise NotPermitted(principal, "upstreams", may.upstreams)
    if may.models and not any(_is_model(model, allowed) for allowed in may.models):
        raise NotPermitted(principal, "models", may.models)


def _is_model(model: str, allowed: str) -> bool:
    return model.startswith(allowed[:-1]) if allowed.endswith("*") else model == allowed


def _ours(own: bytes, token: bytes, x_api_key: bytes) -> tuple[bytes, Presented]:
    if own:
        return own, "x-headroom-key"
    if token.startswith(_MARK):
        return token, "authorization"
    if x_api_key.startswith(_MARK):
        return x_api_key, "x-api-key"
    return b"", ""


def _look_up(secret: bytes, presented_in: Presented, keys: Snapshot, now_s: float) -> Key:
    if not keys.is_loaded:
        raise KeysNotLoaded
    digest = hashlib.sha256(secret).digest()
    found = None
    for key in keys.by_prefix.get(secret[:PREFIX_CHARS].decode("latin-1"), ()):
        if hmac.compare_digest(digest, key.secret_sha256):
            found = key
    if found is None:
        hmac.compare_digest(digest, _NOBODY)  # an unknown prefix takes as long as a wrong secret
        raise UnknownKey(presented_in)
    if found.revoked_at_s is not None:
        raise RevokedKey(found)
    if found.expires_at_s is not None and found.expires_at_s <= now_s:
        raise ExpiredKey(found)
    return found


def _credential(authorization: bytes, x_api_key: bytes, presented_in: Presented) -> bytes:
    """The provider's own credential, if the client sent one."""
    if x_api_key and presented_in != "x-api-key":
        return x_api_key
    return authorization if presented_in != "authorization" else b""


def _fingerprint(credential: bytes) -> str:
    """Tells credentials apart without holding one: useless without the installation's secret, the same on every host.

    Made from a copy of what has taken the key already: `hmac.digest` lets go of the interpreter, which another thread may
    then keep for milliseconds.
    """
    keyed = _fingerprinter(settings.SECRET_KEY).copy()
    keyed.update(credential)
    return keyed.hexdigest()[:16]


@functools.lru_cache(maxsize=1)
def _fingerprinter(secret_key: str) -> hmac.HMAC:
    key = hashlib.sha256(b"headroom credential fingerprint" + secret_key.encode()).digest()
    return hmac.new(key, digestmod=hashlib.sha256)


@functools.lru_cache(maxsize=1024)
def _address_owner(peer: str) -> str:
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return f"peer:{peer or 'unknown'}"
    address = getattr(address, "ipv4_mapped", None) or address
    return LOCAL if address.is_loopback else f"peer:{address}"


def _label(value: bytes) -> str:
    text = value.decode("utf-8", "replace").strip()[:MAX_USER_CHARS]
    return "".join(character for character in text if character.isprintable())
