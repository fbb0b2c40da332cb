"""Find an original for its owner and cut out what was asked for. Every way back ends here: routes, tool and files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import F

from headroom import retrieval
from headroom.values import ToolCall
from proxy import decisions
from proxy.learning import parts, uses
from proxy.learning.parts import Part
from proxy.models import Original
from proxy.offload import Offload
from proxy.retrieval import words
from proxy.values import ToolResult


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of which original: all of it, the lines of a range, or what matches a query."""

    hash: str
    query: str = ""
    start_line: int | None = None
    end_line: int | None = None

    @property
    def is_partial(self) -> bool:
        return bool(self.query) or self.start_line is not None or self.end_line is not None

    def part(self, total_lines: int) -> Part:
        """Coarsely, for what is learned from it."""
        return parts.of(query=self.query, start_line=self.start_line, end_line=self.end_line, total_lines=total_lines)


@dataclass(frozen=True, slots=True)
class Found:
    """An original that its owner may have back. `lines_sent` is the length of the form that stood for it."""

    hash: str
    text: str
    tokens: int
    tool: str
    lines_sent: int
    retrieval_count: int


@dataclass(frozen=True, slots=True)
class Gone:
    """There is none for this owner: there never was (`expired_at` is `None`), or not any more."""

    hash: str
    expired_at: datetime | None = None

    def __str__(self) -> str:
        hours = decisions.lifetime().total_seconds() / 3600
        if self.expired_at is None:
            return (
                f"no original with hash {self.hash[:64]!r} is kept for you. Take the hash (24 hex digits) from the "
                "marker as it stands there, or run the tool again to see its output."
            )
        return (
            f"the original with hash {self.hash!r} expired on {self.expired_at:%Y-%m-%d at %H:%M} UTC, {hours:.0f} hours "
            "after its last use. Run the tool again to see its output."
        )


def fetch(owner: str, wanted: Wanted) -> Found | Gone:
    """The original, which then lives on and is counted as asked for; or why there is none. Runs queries."""
    hash = wanted.hash
    if not words.is_name(hash):
        return Gone(hash)
    now = datetime.now(UTC)
    row = Original.objects.filter(owner=owner, hash=hash).first()
    if row is None:
        return Gone(hash)
    if row.expires_at <= now or not row.content:
        return Gone(hash, row.expires_at)
    text = decisions.unpack(row.content)
    note(owner, hash, wanted.part(text.count("\n") + 1), now)
    return Found(row.hash, text, row.tokens, row.tool, row.lines_sent, row.retrieval_count + 1)


def note(owner: str, hash: str, part: Part, now: datetime) -> None:
    """Count that a part of an original was asked for: the one place where all ways meet. Runs queries."""
    Original.objects.filter(owner=owner, hash=hash, expires_at__gt=now).update(
        retrieval_count=F("retrieval_count") + 1, expires_at=now + decisions.lifetime()
    )
    uses.note_asked(owner, hash, part)


def note_reads(owner: str, results: Iterable[ToolResult], now: datetime) -> None:
    """Count what agents read or fetched by themselves, as far as their new tool results show it. Runs queries.

    A fetch by route was counted when it was served.
    """
    for result in results:
        hash = words.file_read(ToolCall(result.tool, result.arguments))
        if hash:
            note(owner, hash, parts.of_read(result.arguments, _lines(owner, hash)), now)


def _lines(owner: str, hash: str) -> int:
    row = Original.objects.filter(owner=owner, hash=hash).only("content").first()
    return decisions.unpack(row.content).count("\n") + 1 if row is not None and row.content else 1


async def excerpt(found: Found, wanted: Wanted, helper: Offload) -> retrieval.Excerpt:
    """The part that was asked for; of a long original without a wish its table of contents. Raises Busy."""
    return await helper.excerpt(found.text, query=wanted.query, start_line=wanted.start_line, end_line=wanted.end_line)


def report(found: Found, part: retrieval.Excerpt | None) -> dict[str, Any]:
    """The answer of the retrieve routes, with the part that was asked for if it was not all."""
    answer: dict[str, Any] = {
        "hash": found.hash,
        "original_content": found.text,
        "original_tokens": found.tokens,
        "original_item_count": found.text.count("\n") + 1,
        "compressed_item_count": found.lines_sent,
        "tool_name": found.tool,
        "retrieval_count": found.retrieval_count,
    }
    if part is not None:
        answer |= {"content": part.content, "matches": list(part.matches), "total_lines": part.total_lines}
    return answer
