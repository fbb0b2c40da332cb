"""What was said before is named instead of sent again."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom import pipeline
from headroom.values import Policy
from proxy.conversations import Conversations
from proxy.stores import NoStore
from tests.examples import examples
from tests.proxy import sessions
from tests.proxy.conversing import NOON_S, planned, played
from tests.proxy.sessions import Step, edit, log, long_session, module, read, run


async def test_a_file_that_is_read_again_is_named_instead_of_sent() -> None:
    steps = [read("src/alpha.py", module("alpha")), run("make", log(1, 3)), read("src/alpha.py", module("alpha"))]
    plan = (await played(Conversations(NoStore()), steps, mode="cache"))[-1]
    (form,) = plan.replacements.values()
    assert form.startswith("[Exactly as last time]")


async def test_short_output_that_comes_again_is_named_as_well() -> None:
    text = log(7, 12)
    assert 400 < len(text) < 600
    plan = (await played(Conversations(NoStore()), [run("make", text), run("make", text)], mode="cache"))[-1]
    *_, form = plan.replacements.values()
    assert form == "[Exactly as last time]"


OUTPUTS = [*(f"all {n} of them are up to date, and there is nothing to be done for any target" for n in range(3))]
OUTPUTS += [log(1, 14), log(1, 14).replace("step 1.7:", "step 1.7 failed:"), log(2, 14), log(3, 90)]


@examples(60)
@given(st.lists(st.tuples(st.sampled_from(["make", "make test"]), st.sampled_from(OUTPUTS)), min_size=2, max_size=12))
def test_what_is_said_of_an_earlier_time_is_true_of_that_very_call(runs: list[tuple[str, str]]) -> None:
    steps = [run(command, text) for command, text in runs]
    body = sessions.bodies(steps, "openai")[-1]
    plan = asyncio.run(played(Conversations(NoStore()), steps, mode="cache"))[-1]
    shown = [message["content"] for message in sessions.sent(body, plan, "openai") if message["role"] == "tool"]
    for at, (text, (command, output)) in enumerate(zip(shown, runs, strict=True)):
        when = re.match(r"\[(As|Exactly as) (last time|the first time)(, with changes)?\]", text)
        if when is None:
            continue
        same = [n for n in range(at) if runs[n][0] == command]
        source = same[-1 if when[2] == "last time" else 0]
        assert not shown[source].startswith("["), "what it points at is itself there to be read"
        if when[1] == "Exactly as":
            assert runs[source][1] == output
        else:
            told = [line for line in text.split("\n")[1:] if not line.startswith("[")]
            assert set(told) >= set(output.split("\n")) - set(runs[source][1].split("\n"))


async def test_a_time_is_named_that_is_there_to_be_read() -> None:
    one, other = log(1, 14), log(2, 14)
    steps = [run("make", one), run("make", "done"), run("make", one), run("make test", one), run("make", other)]
    plan = (await played(Conversations(NoStore()), steps, mode="cache"))[-1]
    again = [form for form in plan.replacements.values() if form.startswith("[Exactly")]
    assert again == ["[Exactly as the first time]", "[Exactly as in the first output of `make`]"]


def part(offset: int, limit: int, text: str | None = None) -> Step:
    """A read of some lines of a file, or of what became of it."""
    lines = (text or module("alpha")).split("\n")[offset - 1 : offset - 1 + limit]
    return ("Read", {"file_path": "/src/alpha.py", "offset": offset, "limit": limit}, "\n".join(lines))


@examples(60)
@given(
    st.lists(
        st.tuples(st.sampled_from([1, 20, 40, 60, 80]), st.sampled_from([20, 30]), st.booleans()),
        min_size=4,
        max_size=9,
    )
)
def test_what_a_reference_says_of_a_call_is_true_of_one_call_only(windows: list[tuple[int, int, bool]]) -> None:
    changed = module("alpha").replace("return", "yield")
    steps = [part(offset, limit, changed if is_new else None) for offset, limit, is_new in windows]
    body = sessions.bodies(steps, "openai")[-1]
    plan = asyncio.run(played(Conversations(NoStore()), steps, mode="cache"))[-1]
    shown = [message["content"] for message in sessions.sent(body, plan, "openai") if message["role"] == "tool"]
    for at, text in enumerate(shown):
        when = re.match(r"\[(?:Exactly as|As|Unchanged lines are as) in the Read of alpha.py with ([^\],]+)", text)
        if when is None:
            continue
        told = [
            n
            for n, (_, given, _) in enumerate(steps[:at])
            if all(f"{k} {given[k]}" in when[1] for k in re.findall(r"[a-z]{3,}(?= \d)", when[1]))
        ]
        assert len(told) == 1 and shown[told[0]] == steps[told[0]][2]
        source, new = shown[told[0]].split("\n"), []
        for line in text.split("\n")[1:]:
            mark = re.fullmatch(r"\[(?:lines )?(\d+)-(\d+) unchanged\]", line)
            new += source[int(mark[1]) - 1 : int(mark[2])] if mark else [line]
        if not text.startswith("[Exactly"):
            assert "\n".join(new) == steps[at][2]


async def test_one_read_of_many_is_named_by_what_its_call_alone_says() -> None:
    changed = module("alpha").replace("total > 161", "total > 160")
    windows = [(1, 20), (80, 20), (40, 20), (120, 20)]
    steps = [*[part(offset, limit) for offset, limit in windows], part(81, 19, changed), part(42, 18)]
    plan = (await played(Conversations(NoStore()), steps, mode="cache"))[-1]
    one, other = plan.replacements.values()
    assert one.startswith("[As in the Read of alpha.py with offset 80, with changes]")
    assert other == "[last 18 lines as in the Read of alpha.py with offset 40]"


async def test_a_file_that_was_changed_in_between_shows_what_changed() -> None:
    before = module("alpha")
    after = before.replace("total > 140", "total > 141")
    steps = [read("src/alpha.py", before), edit("src/alpha.py"), read("src/alpha.py", after)]
    plan = (await played(Conversations(NoStore()), steps, mode="cache"))[-1]
    (form,) = plan.replacements.values()
    assert "total > 141" in form
    assert len(form) < len(after) / 5


async def test_notes_below_every_output_are_sent_once() -> None:
    notes = "\n(Open file: /srv/app/settings/production.py)\n(Current directory: /srv/app)\nbash-$"
    steps = [
        run("make one", "all 12 targets of it are up to date by now" + notes),
        run("make two", "there is nothing to be done for the target two today" + notes),
    ]
    plan = (await played(Conversations(NoStore()), steps, mode="cache"))[-1]
    (form,) = plan.replacements.values()
    assert form == "there is nothing to be done for the target two today\n[last 3 lines as in the output of `make one`]"


async def test_a_record_that_a_service_shows_again_says_what_changed() -> None:
    order = {
        "order_id": "W-1204",
        "items": [{"name": f"item number {n}", "price": n * 7} for n in range(9)],
        "status": "pending",
    }
    steps: list[Step] = [
        ("get_order", {"order_id": "W-1204"}, json.dumps(order)),
        ("cancel_order", {"order_id": "W-1204"}, json.dumps({**order, "status": "cancelled"})),
    ]
    road = Conversations(NoStore())
    *_, form = (await played(road, steps, mode="cache"))[-1].replacements.values()
    assert form == '[As the latest get_order result above with "order_id":"W-1204", but:]\n{"status":"cancelled"}'
    compacted = sessions.bodies(steps[1:], "openai")[-1].replace(b'"t0"', b'"t1"')
    alone = await planned(road, compacted, mode="cache")
    assert "item number 8" in str(sessions.sent(compacted, alone, "openai")[-1]["content"])


async def test_what_the_model_wrote_itself_is_named_when_it_looks_at_it() -> None:
    text = module("alpha", 8).strip()
    write: Step = ("Write", {"file_path": "src/alpha.py", "content": text}, "File created.")
    steps = [write, run("make", log(1, 3)), run("cat src/alpha.py && make", f"{text}\nmade it"), run("make", log(2, 3))]
    road, bodies = Conversations(NoStore()), sessions.bodies(steps, "openai")
    for body in bodies:
        plan = await planned(road, body, mode="cache")
    lines = text.count("\n") + 1
    assert f"[{lines} lines as in content of the Write of alpha.py]\nmade it" in plan.replacements.values()
    compacted = sessions.bodies(steps[1:], "openai")[-1].replace(b'"t2"', b'"t3"').replace(b'"t1"', b'"t2"')
    alone = await planned(road, compacted, mode="cache")
    assert text in str(sessions.sent(compacted, alone, "openai")[4]["content"])


async def test_lines_below_something_else_that_is_said_once_are_not_the_same() -> None:
    def logged(day: int) -> str:
        words = ["north", "south", "paid", "late", "small", "green", "open", "first", "again", "early", "whole"]
        said = [" ".join(words[n * k % 11] for k in range(2 + n % 7)) for n in range(200)]
        return "\n".join(
            f"2026-03-{day:02} 12:{n // 60:02}:{n % 60:02} INFO [main] - {text}" for n, text in enumerate(said)
        )

    steps = [run("tail one.log", logged(1)), run("tail two.log", logged(2))]
    plan = (await played(Conversations(NoStore()), steps, mode="cache", policy=Policy(level="lossless")))[-1]
    first, second = plan.replacements.values()
    assert first.split("\n")[1:] == second.split("\n")[1:]
    assert second.startswith("[Lines like “2026-03-02 * INFO [main] - *”")


async def test_a_diff_names_what_the_model_wrote_into_a_new_file() -> None:
    text = module("alpha", 8).strip()
    added = "".join(f"+{line}\n" for line in text.split("\n"))
    head = "diff --git a/src/alpha.py b/src/alpha.py\nnew file mode 100644\nindex 000000..3232\n--- /dev/null\n+++ b/src/alpha.py\n"
    lines = text.count("\n") + 1
    write: Step = ("Write", {"file_path": "src/alpha.py", "content": text}, "File created.")
    steps = [write, run("make", log(1, 3)), run("git diff HEAD", f"{head}@@ -0,0 +1,{lines} @@\n{added}")]
    plan = (await played(Conversations(NoStore()), steps, mode="cache"))[-1]
    form = list(plan.replacements.values())[-1]
    assert f"@@ -0,0 +1,{lines} @@\n[{lines} added lines as in content of the Write of alpha.py]" in form


async def test_lines_are_only_named_where_they_stand_as_they_came() -> None:
    listing = "\n".join(f"-rw-r--r-- 1 root root 4096 Apr 30 08:32 module_{n}.py" for n in range(40))
    steps = [
        run("ls -l", f"total 300\n{listing}"),
        run("ls -l src", f"total 304\n{listing}\n-rw-r--r-- 1 root root 7 Apr 30 08:33 b.py"),
    ]
    first, second = (await played(Conversations(NoStore()), steps, mode="cache"))[-1].replacements.values()
    if "unchanged" in second:
        named = max(int(n) for n in re.findall(r"-(\d+) unchanged", second))
        assert named <= first.count("\n") + 1


def checked(*failing: str) -> str:
    """What a test run prints of which these tests failed."""
    passed = [f"tests/test_all.py::test_number_{n} PASSED" for n in range(90)]
    failed = [
        f"____ {name} ____\n    def {name}():\n>       assert sums({name!r}) == 1\nE       assert 2 == 1\n\ntests/test_all.py:7: AssertionError"
        for name in failing
    ]
    counts = f"==== {len(failing)} failed, {len(passed)} passed in 1.0s ===="
    return "\n".join(["==== test session starts ====", *passed, "==== FAILURES ====", *failed, counts])


async def test_of_a_test_run_that_comes_again_what_changed_is_shown() -> None:
    names = [f"test_of_{n}" for n in range(8)]
    steps = [run("pytest -v", checked(*names)), edit("src/alpha.py"), run("pytest -v", checked(*names[:6], "test_new"))]
    road = Conversations(NoStore())
    plan = (await played(road, steps, mode="cache"))[-1]
    first, again = plan.replacements.values()
    assert again.startswith("[As last time, with changes]")
    assert "sums('test_new')" in again
    assert len(again) < len(first) / 2
    assert pipeline.is_shrunk(again)
    moved = sessions.bodies(steps[1:], "openai")[-1].replace(b'"t1"', b'"t2"').replace(b'"t0"', b'"t1"')
    alone = sessions.sent(moved, await planned(road, moved, mode="cache"), "openai")[-1]["content"]
    assert "sums('test_of_0')" in alone
    assert pipeline.is_shrunk(alone)


async def test_a_copy_is_shown_in_full_once_the_earlier_one_is_out_of_view() -> None:
    road, text = Conversations(NoStore()), module("alpha")
    steps = [read("src/alpha.py", text), run("make", log(1, 3)), read("src/alpha.py", text), run("make", log(2, 3))]
    await played(road, steps, mode="cache")
    compacted = steps[2:]
    body = sessions.bodies(compacted, "openai")[-1].replace(b'"t0"', b'"t2"').replace(b'"t1"', b'"t3"')
    plan = await planned(road, body, mode="cache")
    assert sessions.sent(body, plan, "openai")[2]["content"] == text


@pytest.mark.parametrize("mode", ["token", "cache"])
async def test_nothing_points_at_what_is_not_shown_in_full(mode: str) -> None:
    steps = long_session(40)
    road = Conversations(NoStore())
    for turn, body in enumerate(sessions.bodies(steps, "openai")):
        plan = await planned(road, body, at_s=NOON_S + 10 * turn, mode=mode)
        shown = [m["content"] for m in sessions.sent(body, plan, "openai") if m["role"] == "tool"]
        for text in shown:
            assert not re.match(r"\[(As|Exactly as) (in the Read|last time)", text) or module("alpha") in shown


async def test_a_reference_that_was_unwanted_is_not_made() -> None:
    text = module("alpha")
    body = sessions.bodies([read("src/alpha.py", text), read("src/alpha.py", text)], "openai")[-1]
    first = sessions.bodies([read("src/alpha.py", text)], "openai")[-1]
    road = Conversations(NoStore())
    await planned(road, first, mode="cache")
    usual = await planned(road, body, mode="cache")
    (label,) = usual.transforms
    unwanted = Policy(unwanted_forms=frozenset({("Read", label, "lossless")}))
    road = Conversations(NoStore())
    await planned(road, first, mode="cache", policy=unwanted)
    assert not (await planned(road, body, mode="cache", policy=unwanted)).replacements


def written(path: str, text: str, answer: str) -> Step:
    return ("write_file", {"path": path, "content": text}, answer)


async def test_an_answer_that_only_repeats_its_call_is_told_by_the_first_of_its_kind() -> None:
    sentence = "The file {} was written to the working tree, {} characters of it, and is saved."
    steps = [
        written(path, text, sentence.format(path, len(text)))
        for path, text in [("src/alpha.py", "a = 1"), ("src/beta.py", "b = 22"), ("src/gamma.py", "c = 333")]
    ]
    steps[1:1] = [written("src/odd.py", "d = 4", sentence.format("src/odd.py", 99))]
    plan = (await played(Conversations(NoStore()), steps, mode="cache"))[-1]
    said, again = plan.replacements.values()
    assert said == "[As the first write_file result above, for this call]"
    assert again == "[As the first write_file]"
