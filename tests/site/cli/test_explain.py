"""`headroom explain`: what a person sees of one tool result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from headroom_site.cli import comparison, main

PYTEST = Path(__file__).parents[2] / "headroom" / "golden" / "test_output" / "pytest_colour.in"
SOURCE = Path(__file__).parents[3] / "headroom" / "pipeline.py"


def explain(*arguments: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["explain", *map(str, arguments)], input=stdin)


def test_a_test_run_is_explained_with_a_comparison() -> None:
    result = explain(PYTEST, "--tool", "pytest -q")
    assert result.exit_code == 0
    for words in (
        'printed by  Bash {"command": "pytest -q"}',
        "taken for   test_output",
        "Kept test_output, which leaves out",
        "longer than test_output",
        "lossless  5,871 → ",
        "Before (-) and after (+)",
        "-␛[1m=====",
        "more lines that are only in the original",
    ):
        assert words in result.stdout, words
    assert "\x1b" not in result.stdout
    assert "more lines that are only" not in explain(PYTEST, "--full").stdout


def test_standard_input_and_json() -> None:
    found = json.loads(explain("-", "--tool", "Read", "--level", "deep", "--json", stdin=SOURCE.read_bytes()).stdout)
    assert (found["tool"], found["level"], found["name"]) == ("Read", "deep", "standard input")
    found = json.loads(explain(SOURCE, "--tool", "Read", "--level", "deep", "--json").stdout)
    assert (found["form"], found["kind"]) == ("code_outline", "code")
    assert found["tokens_after"] < found["tokens_before"] and found["levels"]["lossless"]["form"] == ""
    assert [a["verdict"] for a in found["attempts"] if a["is_kept"]] == ["kept"]
    assert found["text"] + "\n" == explain(SOURCE, "--tool", "Read", "--level", "deep", "--text").stdout


def test_an_excluded_tool_is_told_as_the_proxy_would_treat_it(settings) -> None:
    settings.EXCLUDE_TOOLS = ["Read"]
    assert "the policy excludes this tool" in explain(SOURCE, "--tool", "Read").stdout


@pytest.mark.parametrize(
    ("raw", "words"),
    [(b"\x7fELF\x02\x01\0\0\xd0\xff", "is not text: byte 0xd0 at 8 is not UTF-8"), (b"\xff\xfe\xfa" * 400, "not text")],
)
def test_what_is_no_text_is_refused(tmp_path: Path, raw: bytes, words: str) -> None:
    path = tmp_path / "odd.bin"
    path.write_bytes(raw)
    result = explain(path)
    assert result.exit_code == 1 and words in result.stderr and "odd.bin" in result.stderr


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    result = explain(tmp_path / "none.log")
    assert result.exit_code == 2 and "does not exist" in result.stderr


def test_a_few_bytes_of_another_encoding_are_read_and_told() -> None:
    result = explain("-", stdin="café au lait\n".encode("latin-1") * 50)
    assert result.exit_code == 0 and "50 bytes are not UTF-8" in result.stderr


def test_texts_too_long_to_compare_show_what_remains() -> None:
    (head, *rest) = comparison.lines("a\n" * 200_000, "b\n" * 120)
    assert "too many to compare" in head and rest[0] == "b"
