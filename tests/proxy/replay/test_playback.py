from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.values import Policy
from proxy.conversations import Conversations
from proxy.replay import html_report, message_files, outcomes, recordings
from proxy.replay.outcomes import Form, Outcome, Spent
from proxy.replay.playback import DEEPER, Playback, Settings
from proxy.replay.values import Unreadable
from proxy.stores import NoStore
from savings.pricing import PriceBook
from tests.examples import examples

BOOK = PriceBook()
NOW_S = 1_772_000_000.0
MODEL = "claude-sonnet-4-5-20250929"
RECORDS = json.dumps(
    [{"id": n, "name": f"server-{n}", "region": "eu-central-1", "state": "running"} for n in range(120)], indent=2
)


def steps(*results: str, tool: str = "list_servers", **arguments: str) -> list[dict[str, Any]]:
    """An Anthropic conversation in which a tool answers with these texts, one a turn."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Look at the servers. " + "Be thorough. " * 400}]
    for n, text in enumerate(results):
        use = {"type": "tool_use", "id": f"c{n}", "name": tool, "input": {"page": n, **arguments}}
        messages += [
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": f"c{n}", "content": text}]},
        ]
    return [*messages, {"role": "assistant", "content": "Done."}]


def chat(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same conversation as chat completions."""
    lines: list[dict[str, Any]] = []
    for message in messages:
        block = message["content"][0] if isinstance(message["content"], list) else {}
        if block.get("type") == "tool_use":
            function = {"name": block["name"], "arguments": json.dumps(block["input"])}
            lines.append(
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": block["id"], "type": "function", "function": function}],
                }
            )
        elif block.get("type") == "tool_result":
            lines.append({"role": "tool", "tool_call_id": block["tool_use_id"], "content": block["content"]})
        else:
            lines.append(message)
    return lines


async def play(tmp_path: Path, document: Any, **options: Any) -> Outcome:
    path = tmp_path / "session.json"
    path.write_text(json.dumps(document) if not isinstance(document, str) else document)
    how = Settings(policy=Policy(), prices=BOOK, now_s=NOW_S, **options)
    return await Playback(recordings.read(path), Conversations(store=NoStore()), how).play(lambda: None)


async def test_a_session_with_compressible_results_becomes_cheaper(tmp_path: Path) -> None:
    outcome = await play(tmp_path, {"messages": steps(RECORDS, "ok", "ok"), "model": MODEL})
    assert outcome.turns == 4
    assert outcome.saved_nano_usd > 0
    assert sum(form.results for form in outcome.forms.values()) == 1
    (form,) = outcome.forms.values()
    assert form.tokens_after < form.tokens_before


async def test_what_was_shrunk_once_is_saved_in_every_later_turn(tmp_path: Path) -> None:
    """Written once at first sight, read ever after: removed tokens are saved as one write and as reads of later turns."""
    outcome = await play(tmp_path, {"messages": steps(RECORDS, "ok", "ok"), "model": MODEL})
    (form,) = outcome.forms.values()
    removed = form.tokens_before - form.tokens_after
    assert outcome.before.cache_write_5m - outcome.after.cache_write_5m == removed
    assert outcome.before.cache_read - outcome.after.cache_read == 2 * removed
    assert outcome.saved_nano_usd == removed * (3750 + 2 * 300)


async def test_without_tool_results_both_bills_are_the_same(tmp_path: Path) -> None:
    outcome = await play(tmp_path, {"messages": steps("ok", "fine"), "model": MODEL})
    assert outcome.before == outcome.after
    assert outcome.saved_nano_usd == 0


async def test_chat_sessions_are_billed_without_writes(tmp_path: Path) -> None:
    outcome = await play(tmp_path, {"messages": chat(steps(RECORDS, "ok", "ok")), "model": "gpt-4o"})
    assert outcome.saved_nano_usd > 0
    assert outcome.before.cache_write_5m == 0
    assert outcome.before.cache_read > 0


async def test_models_whose_writes_cost_are_billed_for_them(tmp_path: Path) -> None:
    outcome = await play(tmp_path, {"messages": chat(steps(RECORDS)), "model": "gpt-5.6-cyber"})
    assert outcome.before.cache_write_5m > 0


async def test_a_model_without_a_price_is_counted_but_never_billed(tmp_path: Path) -> None:
    outcome = await play(tmp_path, {"messages": steps(RECORDS, "ok"), "model": "claude-nobody-sells"})
    assert outcome.unpriced == {"claude-nobody-sells": 3}
    assert outcome.before == Spent()
    assert outcome.saved_percent is None


async def test_another_model_may_be_asked_for(tmp_path: Path) -> None:
    document = {"messages": steps(RECORDS, "ok"), "model": "claude-nobody-sells"}
    assert (await play(tmp_path, document, model=MODEL)).unpriced == {}


async def test_only_the_first_turns_are_played_when_so_many_are_asked_for(tmp_path: Path) -> None:
    assert (await play(tmp_path, steps("ok", "ok", "ok"), max_turns=2)).turns == 2


async def test_the_same_result_is_counted_once_however_often_it_is_sent(tmp_path: Path) -> None:
    outcome = await play(tmp_path, {"messages": steps(RECORDS, *["ok"] * 6), "model": MODEL})
    assert sum(form.results for form in outcome.forms.values()) + sum(outcome.left_alone.values()) == 1


def log(*pause_s: int, input_tokens: int = 9000) -> str:
    """A log of Claude Code with these pauses between its turns."""
    records: list[dict[str, Any]] = []
    clock_s = 0
    for n, pause in enumerate((0, *pause_s)):
        clock_s += pause
        stamp = f"2026-03-01T{10 + clock_s // 3600:02}:{clock_s // 60 % 60:02}:{clock_s % 60:02}.000Z"
        usage = {
            "input_tokens": 5,
            "cache_creation_input_tokens": input_tokens,
            "cache_read_input_tokens": 0,
            "output_tokens": 50,
        }
        answer = {
            "id": f"m{n}",
            "model": MODEL,
            "role": "assistant",
            "content": [{"type": "text", "text": "hm"}],
            "usage": usage,
        }
        records += [
            {
                "type": "user",
                "uuid": f"u{n}",
                "sessionId": "s",
                "timestamp": stamp,
                "message": {"role": "user", "content": "go on"},
            },
            {"type": "assistant", "uuid": f"a{n}", "sessionId": "s", "timestamp": stamp, "message": answer},
        ]
    return "\n".join(json.dumps(record) for record in records)


async def test_pauses_longer_than_the_cache_lives_are_paid_for(tmp_path: Path) -> None:
    warm, cold = await play(tmp_path, log(60, 60)), await play(tmp_path, log(60, 301))
    assert warm.before.cache_write_5m == pytest.approx(9000, abs=60)
    assert cold.before.cache_write_5m == pytest.approx(18000, abs=60)


async def test_a_prompt_that_was_not_recorded_counts_as_long_as_the_provider_said(tmp_path: Path) -> None:
    outcome = await play(tmp_path, log(60, 60))
    assert outcome.before.cache_read == pytest.approx(2 * 9000, abs=60)
    assert outcome.before.output == 150
    assert outcome.before == outcome.after


def test_sums_add_everything_up_and_keep_the_slowest_turn() -> None:
    one = Outcome(
        name="a",
        sessions=1,
        turns=2,
        before=Spent(1, 2, 3, 4, 5, 6),
        after=Spent(1),
        forms={"x": Form(1, 9, 3)},
        left_alone={"no_gain": 1},
        unpriced={"m": 1},
        epochs={"size": 2},
        turn_ms_sum=5.0,
        slowest_turn_ms=4.0,
    )
    two = Outcome(
        name="b",
        sessions=1,
        turns=3,
        before=Spent(1),
        after=Spent(cost_nano_usd=8),
        forms={"x": Form(2, 5, 5)},
        turn_ms_sum=2.0,
        slowest_turn_ms=1.0,
    )
    every = outcomes.total([one, two])
    assert (every.sessions, every.turns, every.slowest_turn_ms, every.turn_ms_sum) == (2, 5, 4.0, 7.0)
    assert every.forms == {"x": Form(3, 14, 8)}
    assert every.epochs == {"size": 2}
    assert every.saved_nano_usd == -2
    assert every.saved_percent == pytest.approx(-100 / 3)
    assert outcomes.as_json(every)["bill_usd"]["saved_percent"] == -33.333


def timed(messages: list[dict[str, Any]], *, pause_before: int, pause_s: int) -> str:
    """These messages as a log of Claude Code, ten seconds apart but for one pause."""
    records = []
    for n, message in enumerate(messages):
        clock_s = 10 * n + (pause_s if n >= pause_before else 0)
        stamp = f"2026-03-01T10:{clock_s // 60:02}:{clock_s % 60:02}.000Z"
        spoken = {"id": f"m{n}", "model": MODEL} if message["role"] == "assistant" else {}
        records.append(
            {
                "type": message["role"],
                "uuid": f"u{n}",
                "sessionId": "s",
                "timestamp": stamp,
                "message": message | spoken,
            }
        )
    return "\n".join(json.dumps(record) for record in records)


async def test_older_results_are_shortened_further_when_the_cache_went_cold_in_token_mode(tmp_path: Path) -> None:
    modules = sorted(Path(asyncio.__file__).parent.glob("*s.py"))[:14]
    sources = [path.read_text("utf-8")[:8_000] for path in modules]
    messages = steps(*sources, tool="Read", file_path="/home/dev/module.py")
    recording = timed(messages, pause_before=24, pause_s=400)
    token, cache = await play(tmp_path, recording), await play(tmp_path, recording, mode="cache")
    assert token.epochs["cold"] == 1
    assert cache.epochs == {}
    assert any(name.startswith(DEEPER) for name in token.forms)
    assert not any(name.startswith(DEEPER) for name in cache.forms)
    assert token.after.cost_nano_usd < cache.after.cost_nano_usd
    assert token.before == cache.before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "content", "input", "id", "cache_control", "tool_use_id", "name", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
BLOCKS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "tool_use", "tool_result", "image", "thinking"])},
    optional={"text": JSON, "content": JSON, "input": JSON, "id": JSON},
)
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "developer"])},
    optional={"content": JSON | st.lists(BLOCKS, max_size=3), "tool_calls": JSON},
)
FILES = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGES, min_size=2, max_size=6)},
    optional={
        "system": JSON,
        "tools": JSON,
        "model": JSON,
        "format": st.sampled_from(["openai", "anthropic", None, 3]),
    },
)


@given(FILES)
@examples(50)
def test_no_recording_makes_it_fail(document: dict[str, Any]) -> None:
    try:
        session = message_files.read(document, name="x")
    except Unreadable:
        return
    options = Settings(
        policy=Policy(), prices=BOOK, now_s=NOW_S, model=MODEL if session.dialect == "anthropic" else "gpt-4o"
    )
    outcome = asyncio.run(Playback(session, Conversations(store=NoStore()), options).play(lambda: None))
    assert outcome.turns == len(session.turns)
    assert outcome.before == outcome.after or outcome.forms


async def test_first_sight_alone_is_priced_beside_the_rest(tmp_path: Path) -> None:
    document = {"messages": steps(RECORDS, "ok", "ok"), "model": MODEL}
    outcome = await play(tmp_path, document)
    alone = await play(tmp_path, document, mode="cache")
    assert outcome.first_sight == alone.after == alone.first_sight
    assert outcome.before.cost_nano_usd > outcome.first_sight.cost_nano_usd > 0


async def test_texts_that_an_answer_used_are_looked_for_in_what_was_sent(tmp_path: Path) -> None:
    facts = [{"fact": "server-0", "used_at": 3}, {"fact": "never said", "used_at": 3}]
    weak = {"fact": "neither", "used_at": 3, "strength": "weak"}
    outcome = await play(tmp_path, {"messages": steps(RECORDS, "ok"), "model": MODEL, "needed": [*facts, weak]})
    assert (outcome.facts, outcome.hidden_facts) == (2, 1)
    assert outcomes.as_json(outcome)["facts"] == {"needed": 2, "hidden": 1}


async def test_a_page_shows_every_session_and_escapes_its_name(tmp_path: Path) -> None:
    outcome = await play(tmp_path, {"messages": steps(RECORDS, "ok"), "model": MODEL})
    page = html_report.page([replace(outcome, name="<b>one</b>"), outcome])
    assert "&lt;b&gt;one&lt;/b&gt;" in page
    assert "<b>one" not in page
    assert page.count("<rect") == 9


async def test_a_page_draws_no_bill_where_there_is_no_price(tmp_path: Path) -> None:
    outcome = await play(tmp_path, {"messages": steps(RECORDS, "ok"), "model": "nobody-knows-1"})
    page = html_report.page([outcome])
    assert "no price is known for nobody-knows-1" in page and "<td>no price</td>" in page
    assert page.count("<rect") == 3, "only that of all"
