"""Opaque runs."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.shrinkers import blob
from headroom.values import Form, Policy, Source
from tests.headroom.shrinkers import golden, texts


def forms(text: str, level: str = "balanced") -> list[Form]:
    return list(blob.forms(Source(text, policy=Policy(level=level))))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", golden.names("blob"))
def test_real_output_is_written_as_reviewed(name: str) -> None:
    assert golden.written("blob", name) == golden.expected("blob", name)


@given(texts.ANY, st.sampled_from(["lossless", "balanced", "deep"]))
def test_no_text_makes_it_fail_or_waver(text: str, level: str) -> None:
    assert forms(text, level) == forms(text, level)


@given(st.binary(min_size=400, max_size=2000), texts.LINE, texts.LINE)
def test_a_run_is_named_with_its_size_and_hash_and_the_rest_stays(data: bytes, before: str, after: str) -> None:
    run = base64.b64encode(hashlib.shake_256(data).digest(1200)).decode()
    (form,) = forms(f"{before} {run} {after}")
    assert form.text.startswith(before) and form.text.endswith(after)
    assert f"{len(run):,} characters" in form.text
    assert hashlib.sha256(run.encode()).hexdigest()[:16] in form.text


def test_hex_is_called_hex() -> None:
    (form,) = forms("dump " + "0123456789abcdef" * 80)
    assert "hex data, 1,280 characters" in form.text


def test_what_may_be_a_key_stays_until_it_is_old() -> None:
    text = "token: " + base64.urlsafe_b64encode(hashlib.shake_256(b"x").digest(450)).decode()
    assert forms(text) == []
    (form,) = forms(text, "deep")
    assert "base64 data, 600 characters" in form.text


@pytest.mark.parametrize(
    "text",
    [
        "/usr/share/" + "some_long/path_of/" * 40,
        "word" * 200,
        "a sentence of plain words " * 40,
        "-" * 4000,
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08  file",
    ],
)
def test_what_was_written_by_people_is_left_alone(text: str) -> None:
    assert forms(text) == []


def test_minified_code_keeps_its_ends() -> None:
    line = "".join(f"function f{number}(a,b){{return a+b*{number};}}" for number in range(400))
    (form,) = forms(line)
    assert form.text.startswith(line[:400]) and form.text.endswith(line[-200:])
    assert re.search(r"minified, [\d,]+ of [\d,]+ characters left out", form.text)


@pytest.mark.parametrize("unit", ["A", "A0a", "00 ", "0000: 00000000 ", "a" * 50 + "\n", "=", "A" * 255 + " "])
def test_endless_runs_are_read_in_linear_time(unit: str) -> None:
    forms(unit * (2_000_000 // len(unit)))


def dumped(data: bytes) -> str:
    """What `xxd` prints."""
    rows = [data[at : at + 16] for at in range(0, len(data), 16)]
    return "\n".join(
        f"{16 * n:08x}: {' '.join(row[at : at + 2].hex() for at in range(0, len(row), 2)):39}  "
        + "".join(chr(byte) if 32 < byte < 127 else "." for byte in row)
        for n, row in enumerate(rows)
    )


def test_what_can_be_read_beside_a_dump_stays_until_it_is_old() -> None:
    filler = bytes(range(128, 256)) * 4
    text = dumped(
        filler + b"\x00\x01/opt/lib/ld-linux-x86-64.so.2\x00" + filler + b"key{hidden_in_plain_sight}\x00" + filler
    )
    (form,) = forms(text)
    assert "  ../opt/lib/ld-li\n" in form.text and "key{hidden_in_pl\n" in form.text and "ain_sight}" in form.text
    assert form.text.count("more lines of the dump") == 3 and len(form.text) < len(text) / 3
    assert "hidden_in_pl" not in forms(text, "deep")[0].text
