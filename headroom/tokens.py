"""How many tokens a text is, by OpenAI's o200k vocabulary: exact to one token in a million, offline, in bounded time.

The vocabulary's rank file ships with the package (see NOTICE) and is checked against its published hash. For Claude it
is a steady measure, not the provider's own count; those come from the provider's `usage`.
"""

from __future__ import annotations

import base64
import gzip
from collections import OrderedDict
from functools import lru_cache
from hashlib import blake2b, sha256
from importlib import resources
from threading import Lock

import tiktoken

RANKS_FILE = "data/o200k_base.tiktoken.gz"
RANKS_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
# The published pattern of o200k_base, by which text is cut into words before they are encoded.
PATTERN = "|".join(
    [
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""\p{N}{1,3}""",
        r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""",
        r"""\s*[\r\n]+""",
        r"""\s+(?!\S)""",
        r"""\s+""",
    ]
)

CHUNK_CHARS = 16 * 1024
"""Longer texts are counted in pieces cut at line ends: a run of a million blanks crashes the encoder otherwise."""
EXACT_CHARS = 64_000
SAMPLED_CHUNKS = 16
SAMPLED_CHARS = 4_000
QUICK_CHUNKS = 8
QUICK_CHARS = 1_000
MEMO_ENTRIES = 50_000
MEMO_MIN_CHARS = 256
"""Shorter texts are counted faster than they are looked up."""


class BadRankFile(RuntimeError):
    """The vendored vocabulary is not the published one."""


def count(text: str) -> int:
    """The number of o200k tokens of a text. Special tokens in it are plain text; lone surrogates count as one."""
    if len(text) < MEMO_MIN_CHARS:
        return len(load().encode_ordinary(text))
    key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    known = _memo.get(key)
    if known is None:
        known = sum(len(load().encode_ordinary(piece)) for piece in _pieces(text))
        _memo.put(key, known)
    return known


def estimate(text: str) -> int:
    """As `count`, but of texts over 64,000 characters only an even sample is counted and scaled up: within about 1 %,
    in a time that does not grow with the text."""
    return count(text) if len(text) <= EXACT_CHARS else _sampled(text, SAMPLED_CHUNKS, SAMPLED_CHARS)


def quick(text: str) -> int:
    """As `estimate`, within about 3 %: good enough to say which of several forms is shorter."""
    return count(text) if len(text) <= QUICK_CHUNKS * QUICK_CHARS else _sampled(text, QUICK_CHUNKS, QUICK_CHARS)


def _sampled(text: str, chunks: int, chars: int) -> int:
    step = (len(text) - chars) // (chunks - 1)
    sample = [text[start : start + chars] for start in range(0, step * chunks, step)]
    return sum(map(count, sample)) * len(text) // sum(map(len, sample))


def forget() -> None:
    """Empty the memo, so that a measurement starts cold."""
    _memo.clear()


@lru_cache(maxsize=1)
def load() -> tiktoken.Encoding:
    """The encoder; takes a third of a second the first time, so processes that serve do it before they have to."""
    ranks = gzip.decompress(resources.files("headroom").joinpath(RANKS_FILE).read_bytes())
    if sha256(ranks).hexdigest() != RANKS_SHA256:
        raise BadRankFile(f"headroom/{RANKS_FILE} is damaged: its hash is not that of o200k_base")
    pairs = (line.split() for line in ranks.splitlines() if line)
    encoding = tiktoken.Encoding(
        "o200k_base",
        pat_str=PATTERN,
        mergeable_ranks={base64.b64decode(token): int(rank) for token, rank in pairs},
        special_tokens={},
    )
    # The encoder has its own copy; Python's 200,000 byte strings are 30 MB that nobody reads again.
    encoding._mergeable_ranks = {}
    return encoding


def _pieces(text: str) -> list[str]:
    if len(text) <= CHUNK_CHARS:
        return [text]
    pieces: list[str] = []
    start = 0
    while start < len(text):
        end = start + CHUNK_CHARS
        if end < len(text):
            line_end = text.rfind("\n", start, end) + 1
            end = line_end if line_end > start else end
        pieces.append(text[start:end])
        start = end
    return pieces


class _Memo:
    """Counts of recent texts, the least recently used leaving first. Shared by the threads of a process."""

    def __init__(self) -> None:
        self._counts: OrderedDict[bytes, int] = OrderedDict()
        self._lock = Lock()

    def get(self, key: bytes) -> int | None:
        with self._lock:
            if key in self._counts:
                self._counts.move_to_end(key)
            return self._counts.get(key)

    def put(self, key: bytes, number: int) -> None:
        with self._lock:
            self._counts[key] = number
            if len(self._counts) > MEMO_ENTRIES:
                self._counts.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._counts.clear()


_memo = _Memo()
