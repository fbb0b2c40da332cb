"""Secrets that have to be shown to somebody else one day: encrypted at rest with the installation's own secret."""

from __future__ import annotations

import base64
import functools
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

VERSION = "1:"
NONCE_BYTES = 12


class Unreadable(ValueError):
    """Not sealed here: the installation's secret has changed, or the text was altered."""

    def __init__(self) -> None:
        super().__init__("a stored credential cannot be read: it was sealed with another HEADROOM_SECRET_KEY")


def seal(secret: str, purpose: str) -> str:
    """The secret, encrypted. `purpose` is bound to it: what was sealed for one place opens in no other."""
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(_key(settings.SECRET_KEY)).encrypt(nonce, secret.encode(), purpose.encode())
    return VERSION + base64.b64encode(nonce + sealed).decode()


def open_sealed(sealed: str, purpose: str) -> str:
    """What was sealed. Raises Unreadable."""
    try:
        version, raw = sealed[: len(VERSION)], base64.b64decode(sealed[len(VERSION) :], validate=True)
        if version != VERSION:
            raise Unreadable
        opened = AESGCM(_key(settings.SECRET_KEY)).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], purpose.encode())
    except (InvalidTag, ValueError) as exc:
        raise Unreadable from exc
    return opened.decode()


@functools.lru_cache(maxsize=2)
def _key(secret_key: str) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=None, info=b"headroom upstream credentials").derive(secret_key.encode())
