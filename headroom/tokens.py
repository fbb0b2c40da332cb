"""How many tokens a text is, by OpenAI's o200k vocabulary: exact, offline, in linear time.

For Claude it is a steady measure, not the provider's own count; those come from the provider's `usage`.
"""

from __future__ import annotations

import toktok

ENCODING = "o200k_base"
NO_LIMIT = 1 << 60
EXACT_CHARS = 64_000
SAMPLED_CHUNKS = 16
SAMPLED_CHARS = 4_000
QUICK_CHUNKS = 8
QUICK_CHARS = 1_000


def count(text: str) -> int:
    """The number of o200k tokens of a text. Special tokens in it are plain text; lone surrogates count as one."""
    try:
        return _counted(text)
    except UnicodeEncodeError:
        return _counted(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


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


def load() -> None:
    """Read the vocabulary. It takes most of a second the first time, so processes that serve do it before they have to."""
    count("")


def _counted(text: str) -> int:
    # Cutting counts on the calling thread; the function for batches makes threads, 50 us a call.
    _, total = toktok.truncate(text, NO_LIMIT, ENCODING)
    return int(total)
