"""Documents, retrieved passages and pages."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom import pipeline, tokens
from headroom.shrinkers import passages, prose
from headroom.values import Form, Level, Policy, Source, ToolCall
from tests.examples import examples
from tests.headroom.shrinkers import golden, texts

LEVELS: tuple[Level, ...] = ("lossless", "balanced", "deep")
READ = ToolCall("Read", '{"file_path": "/repo/guide.md"}')
SEARCH = ToolCall("search_docs", '{"query": "pool"}')
SENTENCES = [
    "The pool is closed when the last of its connections has been returned to it, and not before that.",
    "A lease is subtracted from the budget up front, so a crash spends too little rather than too much.",
    "Every worker appends to a file of its own, and any other worker may finish it after a crash.",
    "Prices are looked up in the overrides first, then in the bundled table, and are never guessed.",
]


def forms(text: str, level: Level = "deep", call: ToolCall = SEARCH) -> dict[str, Form]:
    return {form.name: form for form in prose.forms(Source(text, call, Policy(level=level)))}


def results(texts: list[str]) -> str:
    found = [{"url": f"https://example.org/{at}#pool", "rank": at, "text": text} for at, text in enumerate(texts)]
    return json.dumps({"results": found}, indent=1)


@pytest.mark.parametrize("name", golden.names("prose"))
@pytest.mark.parametrize("level", ["balanced", "deep"])
def test_real_documents_are_written_as_reviewed(name: str, level: Level) -> None:
    assert golden.written_file("prose", name, level) == golden.expected_file("prose", name, level)


def test_a_passage_is_shown_where_it_comes_first() -> None:
    text = "\n\n".join([SENTENCES[0], SENTENCES[1], "And again:", SENTENCES[0].replace(" ", "\n"), SENTENCES[2]])
    shown = forms(text, "balanced")["repeats"].text
    assert shown == "\n\n".join([SENTENCES[0], SENTENCES[1], "And again:", "[as above: The pool is ...]", SENTENCES[2]])


def test_what_differs_by_a_word_stays() -> None:
    text = "\n\n".join([*SENTENCES, SENTENCES[0].replace("not", "sometimes")])
    assert "sometimes before that" in forms(text, "balanced").get("repeats", Form(text, "")).text


def test_repeats_inside_search_results_go_and_addresses_stay() -> None:
    text = results(
        [" ".join(SENTENCES), "Summary. " + " ".join(SENTENCES[:3]), *(" ".join(SENTENCES[at:]) for at in (1, 2))]
    )
    form = forms(text, "balanced")["repeats"]
    back = json.loads(form.text)
    assert [one["url"] for one in back["results"]] == [f"https://example.org/{at}#pool" for at in range(4)]
    assert back["results"][0]["text"] == " ".join(SENTENCES)
    assert back["results"][1]["text"] == "Summary. [as above: The pool is ...]"


def test_passages_are_never_taken_for_records() -> None:
    text = results(
        [
            f"Part {at}. " + SENTENCES[at % 4].replace("pool", f"pool{at}") + f" It has {at * 37} doors. " * 3
            for at in range(60)
        ]
    )
    for level in LEVELS[:2]:
        shown = pipeline.shrink(text, call=SEARCH, policy=Policy(level=level)).text
        assert all(f"https://example.org/{at}#pool" in shown and f"{at * 37} doors" in shown for at in range(60))


def test_json_loses_nothing_but_the_space_between_its_tokens() -> None:
    text = results([" ".join(SENTENCES)] * 4 + ['Odd "quotes" \\ and é ' + SENTENCES[0]])
    assert json.loads(forms(text, "lossless")["json_compact"].text) == json.loads(text)


def test_a_fresh_document_is_not_touched() -> None:
    assert not forms("# Guide\n\n" + "\n\n".join(SENTENCES * 9), "balanced", READ)


DOCUMENT = "\n".join(
    [
        "# Guide",
        "",
        " ".join(SENTENCES),
        "",
        "## Start",
        "",
        "```bash",
        *[f"step {at}" for at in range(12)],
        "# Keep this remark",
        "```",
        "",
        "Long words",
        "----------",
        *[f"- item {at}" for at in range(12)],
        "",
        "### Rates",
        *["| a | b |"] * 12,
    ]
)


def test_an_old_document_keeps_headings_and_beginnings() -> None:
    shown = forms(DOCUMENT, "deep", READ)["document_outline"].text
    for kept in (
        "# Guide",
        SENTENCES[0] + " ...",
        "## Start",
        "```bash\nstep 0\nstep 1\nstep 2\n... lines 11-19",
        "# Keep this remark",
        "Long words\n----------\n- item 0",
        "### Rates",
    ):
        assert kept in shown
    assert "item 11" not in shown and SENTENCES[2] not in shown


def test_numbered_documents_name_the_lines_of_the_file() -> None:
    text = "\n".join(f"{number:>6}→{line}" for number, line in enumerate(DOCUMENT.split("\n"), 501))
    assert "... lines 511-519" in forms(text, "deep", READ)["document_outline"].text


WORDS = st.sampled_from(
    [
        "the",
        "pool",
        "ends",
        "40",
        "[as above: x ...]",
        "RoleContentUser",
        "é",
        "接続",
        "\n",
        "\n\n",
        "# x",
        "| a",
        "```",
        '{"',
    ]
)
REPEATING = st.lists(st.one_of(st.sampled_from(SENTENCES), WORDS, texts.LINE), max_size=40).map(" ".join)


@examples(50)
@given(st.one_of(REPEATING, texts.ANY), st.sampled_from(LEVELS), st.sampled_from([READ, SEARCH, ToolCall()]))
def test_no_text_makes_it_fail_or_waver(text: str, level: Level, call: ToolCall) -> None:
    for form in forms(text, level, call).values():
        assert form.text.strip() and (form.left_out or level == "lossless" or form.name == "json_compact")
    assert forms(text, level, call) == forms(text, level, call)


@examples(50)
@given(st.lists(REPEATING, min_size=1, max_size=4))
def test_every_mark_stands_for_words_shown_before(parts: list[str]) -> None:
    memory = passages.Memory()
    shown = ""
    for part in parts:
        short = memory.shortened(part)
        dense = "".join(part.split())
        for piece in re.split(r"\[as above: [^\n]{0,40} \.\.\.\]", short) if short != part else []:
            assert "".join(piece.split()) in dense, "what is kept is kept word for word, in order"
        if short == part:
            shown += dense
    assert passages.Memory().shortened(parts[0][:79]) == parts[0][:79], "too short to repeat anything"


@examples(15)
@given(REPEATING, st.sampled_from(LEVELS))
def test_the_laws_hold_through_the_pipeline(text: str, level: Level) -> None:
    once = pipeline.shrink(text * 4, call=SEARCH, policy=Policy(level=level))
    assert once.tokens_after <= once.tokens_before == tokens.count(text * 4)
    assert pipeline.shrink(once.text, call=SEARCH, policy=Policy(level=level)).text == once.text


@pytest.mark.parametrize(
    "text", ["ab " * 200_000, "x" * 600_000, "A" * 24 + " b" * 300_000, "<br/>" * 100_000, "Ab" * 200_000]
)
def test_hostile_texts_stay_cheap(text: str) -> None:
    list(prose.forms(Source(text, SEARCH, Policy(level="deep"))))
