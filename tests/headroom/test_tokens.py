"""Token counts: exact, offline, in bounded time."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom import tokens
from tests.headroom import shapes


def test_the_vendored_ranks_are_the_published_ones() -> None:
    packed = resources.files("headroom").joinpath("data/o200k_base.tiktoken.gz").read_bytes()
    assert hashlib.sha256(gzip.decompress(packed)).hexdigest() == tokens.RANKS_SHA256


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0), ("hello world", 2), ("<|endoftext|>", 7), ("\ud800", 1), ("漢字", 2), (" " * 100, 2)],
)
def test_known_counts(text: str, expected: int) -> None:
    assert tokens.count(text) == expected


@given(st.text(max_size=400))
def test_the_memo_never_changes_a_count(text: str) -> None:
    first = tokens.count(text)
    assert tokens.count(text) == first
    tokens.forget()
    assert tokens.count(text) == first


def test_cutting_into_pieces_costs_at_most_a_token_a_piece() -> None:
    text = "".join(f"line {at}: the quick brown fox\n" for at in range(8_000))
    whole = len(tokens.load().encode_ordinary(text))
    assert abs(tokens.count(text) - whole) <= len(text) // tokens.CHUNK_CHARS + 1


def test_a_sample_comes_close_for_very_long_texts() -> None:
    text = "".join(f'{{"id": {at}, "name": "user-{at * 7919 % 1009}"}}\n' for at in range(60_000))
    assert tokens.estimate(text) == pytest.approx(tokens.count(text), rel=0.02)


@pytest.mark.parametrize("char", [" ", "a", "\n", "\x00", "\ud800", "é"])
def test_a_million_of_one_character_is_counted_in_time(char: str) -> None:
    tokens.load()
    assert shapes.cpu_s(lambda: tokens.count(char * 1_000_000)) < 5


def test_importing_the_pipeline_does_not_load_the_ranks() -> None:
    script = "import headroom.pipeline, headroom.tokens as t; print(t.load.cache_info().currsize)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout == "0\n"
