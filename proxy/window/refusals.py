"""Recognise that a provider found a prompt too long, in the words of each dialect and of the servers that speak it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from proxy import splice
from proxy.providers import bodies
from proxy.sse import JsonEvents

STATUSES = frozenset((400, 413))
_CODES = frozenset(("context_length_exceeded", "exceed_context_size_error", "context_window_exceeded"))
_SAYS_SO = re.compile(
    r"prompt is too long|maximum (?:context|prompt) length|exceeds? (?:the|this model's|its) (?:available |maximum )?context"
    r"|context (?:window|length) (?:is |was )?exceeded|input is too long|exceeds the maximum number of (?:input )?tokens"
    r"|exceeded model token limit|prompt exceeds max(?:imum)? length",
    re.IGNORECASE,
)
_TAKEN = frozenset(("response.created", "response.queued", "response.in_progress"))
_NUMBER = r"(\d[\d,_]*)"
_FIGURES = (
    re.compile(rf"(?P<actual>{_NUMBER}) tokens > (?P<limit>{_NUMBER}) maximum"),
    re.compile(
        rf"maximum context length (?:is|of) (?P<limit>{_NUMBER}) tokens.*?(?:resulted in|requested|contains|has)(?: about| at least)?"
        rf" (?P<actual>{_NUMBER})\b",
        re.DOTALL,
    ),
    re.compile(rf"\((?P<actual>{_NUMBER}) tokens\) exceeds the available context size \((?P<limit>{_NUMBER}) tokens\)"),
    re.compile(rf"maximum prompt length is (?P<limit>{_NUMBER}) but the request contains (?P<actual>{_NUMBER})"),
    re.compile(
        rf"\((?P<actual>{_NUMBER})\) exceeds the maximum number of (?:input )?tokens allowed \((?P<limit>{_NUMBER})\)"
    ),
    re.compile(rf"configured limit of (?P<limit>{_NUMBER}) tokens.*?resulted in (?P<actual>{_NUMBER})", re.DOTALL),
    re.compile(rf"length is (?P<actual>{_NUMBER}) while limit is (?P<limit>{_NUMBER})"),
    re.compile(rf"(?:maximum context length (?:is|of)|model token limit:) (?P<limit>{_NUMBER})"),
)


@dataclass(frozen=True, slots=True)
class TooLong:
    """What a provider said: its limit and how many tokens it counted, each `None` where it did not say."""

    limit: int | None = None
    actual: int | None = None


def read(status: int, body: bytes) -> TooLong | None:
    """What an error answer says about length, `None` where it is about something else.

    That `max_tokens` and the input do not fit together is something else: the client asked for less to be written.
    """
    return _judged(_error(body)) if status in STATUSES else None


def _error(body: bytes) -> Any:
    """The error in a body: most name it, Google's list it, and some servers send it bare."""
    try:
        document = splice.loads(body)
    except ValueError:
        return None
    if isinstance(document, list):
        document = document[0] if document else None
    return document.get("error", document) if isinstance(document, dict) else None


def read_stream(start: bytes) -> TooLong | None:
    """The same of a stream of Responses that failed as soon as it had begun."""
    for event in JsonEvents().feed(start):
        response = event.get("response")
        error = response.get("error") if isinstance(response, dict) else event.get("error", event)
        if event.get("type") in ("response.failed", "error"):
            return _judged(error)
    return None


def has_begun(start: bytes) -> bool:
    """Whether a stream of Responses says more than that the request was taken."""
    return any(event.get("type") not in _TAKEN for event in JsonEvents().feed(start))


def _judged(error: Any) -> TooLong | None:
    if not isinstance(error, dict):
        return None
    message = bodies.text(error.get("message"))
    if not ({bodies.text(error.get("code")), bodies.text(error.get("type"))} & _CODES or _SAYS_SO.search(message)):
        return None
    if re.search(r"input length and `?max_tokens`? exceed", message):
        return None
    for pattern in _FIGURES:
        if found := pattern.search(message):
            figures = found.groupdict()
            return TooLong(_count(figures["limit"]), _count(figures.get("actual") or ""))
    return TooLong()


def _count(digits: str) -> int | None:
    plain = re.sub(r"\D", "", digits)
    return int(plain) if plain else None
