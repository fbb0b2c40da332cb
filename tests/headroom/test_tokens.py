"""Token counts: exact, offline, in linear time."""

from __future__ import annotations

import base64
import gzip
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from headroom import tokens
from tests.headroom import shapes

HERE = Path(__file__).parent
RANKS = HERE / "o200k_base.tiktoken.gz"
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


@pytest.fixture(scope="module")
def published() -> tiktoken.Encoding:
    """OpenAI's own encoder over the ranks that it published."""
    ranks = gzip.decompress(RANKS.read_bytes())
    assert hashlib.sha256(ranks).hexdigest() == RANKS_SHA256
    pairs = (line.split() for line in ranks.splitlines())
    mergeable = {base64.b64decode(token): int(rank) for token, rank in pairs}
    return tiktoken.Encoding("o200k_base", pat_str=PATTERN, mergeable_ranks=mergeable, special_tokens={})


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0), ("hello world", 2), ("<|endoftext|>", 7), ("\ud800", 1), ("漢字", 2), (" " * 100, 2)],
)
def test_known_counts(text: str, expected: int) -> None:
    assert tokens.count(text) == expected


@given(st.one_of(st.text(max_size=400), st.text(st.characters(codec=None), max_size=60), shapes.LINES))
def test_any_text_counts_as_the_publisher_counts_it(published: tiktoken.Encoding, text: str) -> None:
    assert tokens.count(text) == len(published.encode_ordinary(text))


def test_real_output_counts_as_the_publisher_counts_it(published: tiktoken.Encoding) -> None:
    texts = [path.read_text() for path in sorted(HERE.glob("golden/*/*.in"))]
    assert len(texts) > 50
    assert [tokens.count(text) for text in texts] == [len(published.encode_ordinary(text)) for text in texts]


def test_a_sample_comes_close_for_very_long_texts() -> None:
    text = "".join(f'{{"id": {at}, "name": "user-{at * 7919 % 1009}"}}\n' for at in range(60_000))
    assert tokens.estimate(text) == pytest.approx(tokens.count(text), rel=0.02)


@pytest.mark.parametrize("char", [" ", "a", "\n", "\x00", "\ud800", "é", "aB"])
def test_a_million_of_one_character_is_counted_in_linear_time(char: str) -> None:
    tokens.load()
    small, large = char * 250_000, char * 1_000_000
    assert shapes.grows_by_less_than(8, lambda: tokens.count(small), lambda: tokens.count(large))


def test_importing_the_pipeline_does_not_load_the_vocabulary() -> None:
    script = "import headroom.pipeline, toktok; print(len(toktok._CACHE))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout == "0\n"
