"""Whose request is this? Agents say so in headers of theirs; clients may say so in ours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple

from proxy.values import Call, Exchange

MAX_LABEL_CHARS = 200

_SESSION_HEADERS = (
    b"x-headroom-session-id",
    b"x-claude-code-session-id",
    b"session-id",
    b"session_id",
    b"thread-id",
    b"x-session-id",
)
_AGENTS = (  # user-agent starts, first match wins
    ("claude-cli", "claude-code"),
    ("claude-code", "claude-code"),
    ("codex", "codex"),
    ("copilot", "copilot-cli"),
    ("githubcopilot", "copilot-cli"),
    ("opencode", "opencode"),
    ("aider", "aider"),
    ("cursor", "cursor"),
    ("openhands", "openhands"),
    ("anthropic/", "anthropic-sdk"),
    ("asyncanthropic", "anthropic-sdk"),
    ("openai/", "openai-sdk"),
    ("asyncopenai", "openai-sdk"),
)


@dataclass(frozen=True, slots=True)
class Attribution:
    """Labels for the ledger; each may be "" and none of them is trusted for anything else."""

    session: str
    agent: str
    project: str
    user: str


def attribute(exchange: Exchange, call: Call, project: str) -> Attribution:
    """Read the labels of a request. `project` is the one of its path (`/p/<project>/…`), if any."""
    headers = {key: value for key, value in exchange.headers if key.startswith(b"x-") or key in _WANTED}
    session = next((value for name in _SESSION_HEADERS if (value := headers.get(name))), b"")
    hinted = _hinted(call.user_hint) if call.user_hint else _Hinted()
    return Attribution(
        session=_label(session) or clean(call.session_hint) or clean(hinted.session),
        agent=_agent(headers.get(b"user-agent", b"")),
        project=_label(headers.get(b"x-headroom-project", b"")) or clean(project),
        user=_label(headers.get(b"x-headroom-user-id", b"")) or clean(hinted.user),
    )


_WANTED = frozenset((*_SESSION_HEADERS, b"user-agent"))


def _label(value: bytes) -> str:
    return clean(value.decode("utf-8", "replace")) if value else ""


def clean(text: str) -> str:
    """Printable text of a bounded length: labels end up in tables and files."""
    text = text[:MAX_LABEL_CHARS]
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def _agent(user_agent: bytes) -> str:
    text = user_agent.decode("latin-1").strip().lower()
    for start, agent in _AGENTS:
        if text.startswith(start):
            return agent
    return _label(text.partition("/")[0].partition(" ")[0].encode("latin-1"))


class _Hinted(NamedTuple):
    user: str = ""
    session: str = ""


def _hinted(user_hint: str) -> _Hinted:
    """Who it is and in which session: Claude Code says both in `metadata.user_id`, as JSON or, before, behind `_session_`."""
    if user_hint.startswith("{"):
        try:
            given = json.loads(user_hint)
        except (ValueError, RecursionError):
            return _Hinted(user_hint)
        texts = {name: value for name, value in given.items() if isinstance(value, str)}
        return _Hinted(texts.get("account_uuid") or texts.get("device_id", ""), texts.get("session_id", ""))
    user, found, session = user_hint.rpartition("_session_")
    return _Hinted(user, session) if found else _Hinted(user_hint)
