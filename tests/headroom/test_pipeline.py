"""Choosing a form: refusals, levels, targets, the marker, wrapped text, a shrinker that raises."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import pytest

from headroom import pipeline, tokens
from headroom.registry import SHRINKERS
from headroom.values import Form, Policy, Source, ToolCall

BASH = ToolCall("Bash", '{"command": "cat app.log"}')
LOG = "\n".join(f"2024-01-02 03:04:{at % 60:02} INFO served /items/{at * 7} in {at % 90} ms" for at in range(600))


def shrink(text: str, call: ToolCall = BASH, **policy: object) -> pipeline.Shrunk:
    return pipeline.shrink(text, call=call, policy=Policy(**policy))  # type: ignore[arg-type]


def test_a_lossy_form_ends_in_one_marker_that_names_the_original() -> None:
    outcome = shrink(LOG, retrieval="read it at /kept/{hash}")
    last = outcome.text.split("\n")[-1]
    assert outcome.text.count(pipeline.MARKER) == 1
    assert re.fullmatch(r"\[headroom left out [\d,]+ of 600 lines .*; read it at /kept/[0-9a-f]{24}\]", last)
    assert outcome.original_hash == pipeline.original_hash(LOG) and outcome.original_hash in last


def test_who_was_told_the_way_back_is_told_a_name_only() -> None:
    full, brief = shrink(LOG), shrink(LOG, is_told=True)
    assert brief.text.split("\n")[:-1] == full.text.split("\n")[:-1]
    assert brief.text.endswith(f"; kept as {brief.original_hash}]") and "intact" not in brief.text
    assert pipeline.is_shrunk(brief.text) and pipeline.tells_way_back(full.text)
    assert not pipeline.tells_way_back(brief.text) and not pipeline.tells_way_back(LOG)


def test_without_a_way_back_the_marker_says_only_what_went() -> None:
    assert shrink(LOG, retrieval="").text.endswith("the file or command itself is intact]")


def test_lossless_leaves_nothing_out() -> None:
    text = json.dumps([{"id": at, "zone": "eu-central-1", "state": "running"} for at in range(200)], indent=2)
    outcome = shrink(text, level="lossless")
    assert outcome.is_changed and not outcome.is_lossy
    assert all(f"[{at}]" in outcome.text for at in range(200))


@pytest.mark.parametrize(
    ("text", "policy", "reason"),
    [
        (LOG, {"excluded_tools": frozenset(["Bash"])}, "excluded"),
        (LOG[:60], {}, "too_small"),
        (f"{LOG}\n[headroom left out 3 of 9 lines; kept as x]", {}, "already_shrunk"),
        ("".join(chr(0x4E00 + at * 7 % 20_000) for at in range(2_000)), {}, "no_gain"),
    ],
)
def test_refusals_say_why(text: str, policy: dict[str, object], reason: str) -> None:
    outcome = shrink(text, **policy)
    assert (outcome.reason, outcome.text, outcome.tokens_after) == (reason, text, outcome.tokens_before)


def test_a_tool_may_have_a_level_of_its_own() -> None:
    assert not shrink(LOG, tool_levels=(("Bash", "lossless"),)).is_lossy
    assert shrink(LOG, ToolCall("Other", BASH.arguments), tool_levels=(("Bash", "lossless"),)).is_lossy


def test_deep_is_shorter_than_balanced() -> None:
    assert shrink(LOG, level="deep").tokens_after < shrink(LOG).tokens_after


def test_a_form_that_was_unwanted_makes_way_for_the_next_milder_one() -> None:
    deep, usual = shrink(LOG, level="deep"), shrink(LOG)
    unwanted = {("Bash", deep.form, "deep")}
    assert shrink(LOG, level="deep", unwanted_forms=unwanted).text == usual.text
    assert shrink(LOG, unwanted_forms=unwanted).text == usual.text, "it was unwanted at another level"
    assert shrink(LOG, call=ToolCall("Read"), level="deep", unwanted_forms=unwanted).text == deep.text
    unwanted |= {("Bash", usual.form, "balanced")}
    whole = shrink(LOG, level="deep", unwanted_forms=unwanted)
    assert not whole.is_lossy and whole.text == shrink(LOG, level="lossless").text


def test_even_a_form_that_is_whole_may_be_unwanted() -> None:
    text = json.dumps([{"id": at, "zone": "eu-central-1", "state": "running"} for at in range(200)], indent=2)
    form = shrink(text, level="lossless").form
    left = shrink(text, level="lossless", unwanted_forms={("Bash", form, "lossless")})
    assert (left.text, left.reason) == (text, "wanted_whole")


def test_a_target_takes_the_mildest_form_that_reaches_it() -> None:
    text = json.dumps(
        [{"id": at, "name": f"user {at * 31 % 977}", "zone": "eu-central-1"} for at in range(400)], indent=2
    )
    mild, strict = shrink(text, target_ratio=0.6), shrink(text, target_ratio=0.05)
    assert not mild.is_lossy and mild.tokens_after <= 0.6 * mild.tokens_before
    assert strict.is_lossy and strict.tokens_after <= 0.05 * strict.tokens_before


def test_a_target_out_of_reach_gets_the_shortest_form() -> None:
    assert shrink(LOG, target_ratio=0.000_001).is_changed


def test_what_was_tried_is_told() -> None:
    outcome = shrink(LOG)
    assert outcome.form in {attempt.name for attempt in outcome.attempts}
    assert all(attempt.tokens is None or attempt.tokens > 0 for attempt in outcome.attempts)
    assert [attempt.name for attempt in outcome.attempts if attempt.is_kept] == outcome.form.split("+")
    assert outcome.detected[0] == outcome.kind == "logs"


def test_text_in_a_wrapping_is_shrunk_as_what_it_is() -> None:
    wrapped = json.dumps({"output": LOG, "metadata": {"exit_code": 3, "duration_seconds": 1.5}})
    outcome = shrink(wrapped, ToolCall("shell", '{"command": ["cat", "app.log"]}'))
    assert outcome.text.startswith('{"output":"<below>","metadata":{"exit_code":3,"duration_seconds":1.5}}\n2024-01-02')
    assert outcome.form == "log_templates"


def test_escape_codes_go_before_anything_else() -> None:
    coloured = LOG.replace("INFO", "\x1b[32mINFO\x1b[0m")
    assert shrink(coloured).text.split("\n")[:3] == shrink(LOG).text.split("\n")[:3]


def raising(source: Source) -> Iterable[Form]:
    yield Form(source.text[:40], "half", "the rest")
    raise RecursionError


def test_a_shrinker_that_raises_costs_only_its_forms() -> None:
    kept = SHRINKERS["logs"]
    SHRINKERS["logs"] = raising
    try:
        outcome = pipeline.shrink(LOG, call=ToolCall(), policy=Policy(level="lossless"))
    finally:
        SHRINKERS["logs"] = kept
    assert any(attempt.name == "logs raised RecursionError" for attempt in outcome.attempts)
    assert outcome.tokens_after <= tokens.count(LOG)


PATHS = "\n".join(f"/assets/{one}/scripts/file{n}.js" for one in ("alpha", "beta") for n in range(12))
NOTES = "\n".join(f"src/app/part_{n}.py:{n * 7}: look at this once more" for n in range(12))
STRINGS = (
    "<resources>\n"
    + "\n".join(f'  <string name="label_{n}">No. {n * 7}</string>' for n in range(30))
    + "\n</resources>"
)


@pytest.mark.parametrize(
    ("text", "file"),
    [(PATHS, "web/.gitignore"), (NOTES, "CODEOWNERS"), (STRINGS, "res/strings.xml")],
    ids=["paths", "matches", "elements"],
)
def test_a_file_that_an_edit_may_quote_keeps_its_spelling_whatever_it_looks_like(text: str, file: str) -> None:
    called = ToolCall("Bash", json.dumps({"command": f"cat {file}"}))
    read = ToolCall("Read", json.dumps({"file_path": f"/app/{file}"}))
    for call in (called, read):
        assert shrink(text, call, min_tokens=1).text == text
    other = ToolCall("Bash", json.dumps({"command": "./show"}))
    assert shrink(text, other, min_tokens=1).is_changed


def test_blanks_at_the_end_of_a_file_are_part_of_it() -> None:
    long = '"""What this is.\n' + "More words on what it is and why it is here at all.\n" * 40 + '"""\n'
    text = long + "\n".join(f"value_{n} = {n * n}" for n in range(90)) + "\nlast = 1  \n"
    found = shrink(text, ToolCall("Read", '{"file_path": "a.py"}'))
    assert found.is_lossy and "\nlast = 1  \n[headroom" in found.text
