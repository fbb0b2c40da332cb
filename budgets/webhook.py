"""One signed POST, as https://www.standardwebhooks.com describes it, so that receivers can check it with a library."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import urllib.error
import urllib.request
from typing import Any

import orjson

TIMEOUT_S = 10.0
SECRET_MARK = "whsec_"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the message to somebody else."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects)


def post(url: str, secret: str, message_id: str, document: dict[str, Any], *, at_s: float) -> str:
    """Send a document; "" when it was answered with 2xx, else why it is to be sent again."""
    body = orjson.dumps(document)
    timestamp = str(int(at_s))
    request = urllib.request.Request(
        url,
        data=body,
        headers={
            "content-type": "application/json",
            "user-agent": "headroom-proxy",
            "webhook-id": message_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": signature(secret, message_id, timestamp, body),
        },
    )
    try:
        with _opener.open(request, timeout=TIMEOUT_S) as answer:
            answer.read(1024)
    except urllib.error.HTTPError as exc:
        exc.close()
        return f"the webhook answered {exc.code}"
    except (OSError, http.client.HTTPException) as exc:
        return f"the webhook does not answer: {type(exc).__name__}: {exc}"
    return ""


def signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """`v1,` and the HMAC-SHA256 of id, time and body in base64. A secret may be text, or base64 behind `whsec_`."""
    key = base64.b64decode(secret[len(SECRET_MARK) :]) if secret.startswith(SECRET_MARK) else secret.encode()
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
