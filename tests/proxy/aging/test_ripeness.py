from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import orjson
import pytest

from proxy import files, mentions
from proxy.aging.epochs import Tuning
from proxy.aging.ripeness import Ripeness, risk
from proxy.files import Touch
from proxy.providers import anthropic
from tests.proxy import sessions
from tests.proxy.sessions import Step, edit, read, run

TUNING = Tuning(
    min_age_turns=3,
    min_data_age_turns=4,
    min_read_age_turns=5,
    max_read_age_turns=10,
    min_unedited_age_turns=5,
    min_stale_age_turns=2,
    min_edited_age_turns=8,
    min_named_age_turns=12,
    min_buried_age_turns=15,
)
WAIT = run("make", "done")


def ripe_at(steps: list[Step], task: str = "go on") -> int | None:
    """After how many more turns the first step is old news; None within twenty."""
    for more in range(20):
        call = sessions.call(sessions.bodies([*steps, *[WAIT] * more], "anthropic", task)[-1], "anthropic")
        if Ripeness(call, TUNING).is_ripe(call.results[0]):
            return more
    return None


@pytest.mark.parametrize(
    ("steps", "turns"),
    [
        pytest.param([run("make test", "ok")], 3, id="a command"),
        pytest.param([("get_user", {"id": 7}, "name: Ann")], 4, id="data"),
        pytest.param([read("a.py", "x")], 5, id="a file"),
        pytest.param([read("a.py", "x"), edit("a.py")], 8, id="a file that was edited"),
        pytest.param([read("a.py", "x"), read("a.py", "x")], 1, id="a file with a newer copy"),
        pytest.param([read("a.py", "x"), edit("b.py")], 4, id="another file was edited"),
        pytest.param([read("a.py", "x"), ("Grep", {"path": "a.py", "pattern": "x"}, "1:x")], 5, id="a search in it"),
        pytest.param(
            [read("a.py", "x"), ("read_file", {"filePath": "a.py", "startLine": 1, "endLine": 9}, "x")], 5, id="a part"
        ),
        pytest.param([("read_file", {"absolute_path": "a.py"}, "x"), edit("a.py")], 8, id="read as Gemini CLI does"),
        pytest.param(
            [read("a.py", "x"), ("apply_diff", {"path": "a.py", "diff": "x"}, "ok")], 8, id="edited by a diff"
        ),
        pytest.param([("read_many_files", {"paths": ["a.py", "b.py"]}, "x"), edit("b.py")], 8, id="one of several"),
        pytest.param([("BashOutput", {"bash_id": "7"}, "ok")], 3, id="more of what a command printed"),
        pytest.param([("read-process", {"id": 7}, "ok")], 3, id="more of what a process printed"),
        pytest.param([("getTerminalOutput", {"id": "7"}, "ok")], 3, id="more of what a terminal shows"),
        pytest.param([("mcp__ide__read_terminal", {"terminalId": 7, "maxLines": 9}, "ok")], 3, id="and of another"),
        pytest.param([("airport_terminal_info", {"iata": "MUC"}, "gates: 12")], 4, id="a terminal of an airport"),
        pytest.param([("get_terminal", {"airport": "MUC"}, "gates: 12")], 4, id="one by its arguments"),
        pytest.param([("list_seashells", {}, "cowrie")], 4, id="shells of the sea"),
        pytest.param([("refund_process", {"order": 7}, "refunded: 12")], 4, id="a process of a service"),
        pytest.param([("process_refund", {"order": 7}, "refunded: 12")], 4, id="what a service did"),
    ],
)
def test_results_get_old_at_their_own_pace(steps: list[Step], turns: int) -> None:
    assert ripe_at(steps) == turns


def later_by(turns: int, path: str) -> list[Step]:
    """A file is read, and edited so many turns later."""
    return [read(path, "x"), *[WAIT] * (turns - 1), edit(path)]


@pytest.mark.parametrize(
    ("earlier", "turns"),
    [
        pytest.param([], 6, id="no edit so far"),
        pytest.param(later_by(1, "b.py"), 5, id="edits come at once"),
        pytest.param(later_by(3, "b.py"), 9, id="edits come late"),
        pytest.param(later_by(6, "b.py"), 10, id="edits come very late"),
        pytest.param([*later_by(3, "b.py"), *[edit("b.py"), WAIT] * 2], 9, id="more edits of the same file"),
        pytest.param(
            [*later_by(6, "b.py"), *(step for name in "cdef" for step in later_by(1, name))], 5, id="not any more"
        ),
        pytest.param([("Write", {"file_path": "b.py", "content": "x"}, "ok")], 6, id="a new file"),
    ],
)
def test_files_stay_for_as_long_as_edits_take_to_come(earlier: list[Step], turns: int) -> None:
    assert unedited_for(earlier, read("a.py", "x")) == turns


@pytest.mark.parametrize(
    ("earlier", "lines", "turns"),
    [
        pytest.param([], 100, 5, id="no edit so far: it may be a look around"),
        pytest.param([], 200, 6, id="no edit so far, and so much of a file that it may well be all"),
        pytest.param(later_by(3, "b.py"), 100, 9, id="edits come late"),
    ],
)
def test_a_short_part_of_a_file_is_no_sign_that_edits_come_late(earlier: list[Step], lines: int, turns: int) -> None:
    part = ("Bash", {"command": f"sed -n '1,{lines}p' a.py"}, "x = 1\n" * lines)
    assert unedited_for(earlier, part) == turns


def unedited_for(earlier: list[Step], step: Step) -> int:
    """After how many turns a step is old news where files that nobody edits stay for six."""
    tuning = replace(TUNING, min_unedited_age_turns=6)
    for more in range(20):
        call = sessions.call(sessions.bodies([*earlier, step, *[WAIT] * more], "anthropic")[-1], "anthropic")
        if Ripeness(call, tuning).is_ripe(call.results[len(earlier)]):
            break
    return more


@pytest.mark.parametrize(
    ("name", "arguments", "is_list"),
    [
        ("Bash", {"command": "cd app && find . -name '*.py' | head -50"}, True),
        ("Bash", {"command": "ls -la src"}, True),
        ("shell", {"command": ["bash", "-lc", "rg -n needle src"]}, True),
        ("Bash", {"command": "git grep needle"}, True),
        ("Glob", {"pattern": "**/*.py"}, True),
        ("mcp__files__search_files", {"path": "src"}, True),
        ("listDirectory", {"path": "src"}, True),
        ("Bash", {"command": "make"}, False),
        ("Bash", {"command": "git log --oneline"}, False),
        ("find_users", {"city": "Wien"}, False),
        ("Read", {"file_path": "src/ls.py"}, False),
    ],
)
def test_lists_are_likelier_to_be_asked_for_while_they_are_young(name: str, arguments: Any, is_list: bool) -> None:
    step: Step = (name, arguments, "src/a.py")
    risks = []
    for age in (1, 4, 5):
        call = sessions.call(sessions.bodies([step, *[WAIT] * age], "anthropic")[-1], "anthropic")
        risks.append(risk(call.results[0], Tuning(list_age_turns=5, list_risk=10.0)))
    assert risks == ([10.0, 10.0, 1.0] if is_list else [1.0] * 3)


def test_what_a_command_printed_may_get_old_before_anything_is_stale() -> None:
    steps = [run("make", "ok"), read("a.py", "x"), read("a.py", "x")]
    call = sessions.call(sessions.bodies(steps, "anthropic")[-1], "anthropic")
    ripeness = Ripeness(call, replace(TUNING, min_age_turns=1))
    assert [ripeness.is_ripe(result) for result in call.results] == [True, False, False]
    steps += [WAIT]
    call = sessions.call(sessions.bodies(steps, "anthropic")[-1], "anthropic")
    ripeness = Ripeness(call, replace(TUNING, min_age_turns=1))
    assert [ripeness.is_ripe(result) for result in call.results] == [True, True, False, False]


def test_a_window_with_numbered_lines_is_a_file_whatever_command_shows_it() -> None:
    lines = "\n".join(f"{n}:    total += rows[{n}].size" for n in range(400, 430))
    window = f"[File: /srv/app/report.py (812 lines total)]\n(399 more lines above)\n{lines}\n(382 more lines below)"
    assert ripe_at([run("open report.py 415", window)]) == TUNING.min_read_age_turns
    assert ripe_at([run("make", window.replace(":", " "))]) == TUNING.min_age_turns
    assert ripe_at([("find_users", {"city": "Wien"}, window)]) == TUNING.min_data_age_turns


def test_what_nobody_touched_for_very_long_is_buried() -> None:
    steps = [run("make", "ok"), read("a.py", "x"), *[WAIT] * 9, edit("a.py"), *[WAIT] * 6]
    call = sessions.call(sessions.bodies(steps, "anthropic")[-1], "anthropic")
    ripeness = Ripeness(call, TUNING)
    assert [ripeness.is_buried(result) for result in call.results[:3]] == [True, False, True]


def test_a_document_that_the_user_named_stays() -> None:
    assert ripe_at([read("docs/plan.md", "x")], "carry out docs/plan.md") == 12
    assert ripe_at([read("docs/plan.md", "x")], "be quick") == 5
    assert ripe_at([read("plan.py", "x")], "carry out plan.py") == 5


def test_a_file_that_the_user_named_stays_once_it_was_edited() -> None:
    assert ripe_at([read("a.py", "x"), edit("a.py")], "make a.py faster") == 11
    assert ripe_at([read("a.py", "x"), edit("a.py")], "be quick") == 8


@pytest.mark.parametrize(
    ("tool", "arguments", "touch"),
    [
        ("Read", '{"file_path": "/app/a.py"}', Touch("/app/a.py", "read", is_whole=True)),
        ("Read", '{"file_path": "/app/a.py", "offset": 9}', Touch("/app/a.py", "read", is_whole=False)),
        ("Write", '{"file_path": "a.py", "content": "x"}', Touch("a.py", "write", is_whole=True)),
        ("Edit", '{"file_path": "./a.py"}', Touch("a.py", "change", is_whole=True)),
        ("str_replace_editor", '{"command": "view", "path": "a.py"}', Touch("a.py", "read", is_whole=True)),
        ("str_replace_editor", '{"command": "create", "path": "a.py"}', Touch("a.py", "write", is_whole=True)),
        ("str_replace_editor", '{"command": "str_replace", "path": "a"}', Touch("a", "change", is_whole=True)),
        (
            "view_file",
            '{"AbsolutePath": "/a.py", "StartLine": 0, "EndLine": 9}',
            Touch("/a.py", "read", is_whole=False),
        ),
        ("read_file", '{"absolute_path": "/a.py", "offset": 0}', Touch("/a.py", "read", is_whole=True)),
        ("read_file", '{"files": [{"path": "a.py", "line_ranges": [[1, 9]]}]}', Touch("a.py", "read", is_whole=False)),
        ("fs_read", '{"operations": [{"path": "a.py", "start_line": 7}]}', Touch("a.py", "read", is_whole=False)),
        ("read_files", '{"paths": ["a.py", "b.py"]}', None),
        ("replace_file_content", '{"TargetFile": "/a.py"}', Touch("/a.py", "change", is_whole=True)),
        (
            "edit_files",
            f'{{"replacements": [{{"filePath": "a.py", "newString": "{"x" * 9_000}"}}]}}',
            Touch("a.py", "change", is_whole=False),
        ),
        ("Bash", '{"command": "cat src/a.py"}', Touch("src/a.py", "read", is_whole=True)),
        ("Bash", '{"command": "cd x && sed -n 1,9p src/a.py"}', Touch("src/a.py", "read", is_whole=False)),
        ("Bash", '{"command": "make"}', None),
        ("Bash", '{"command": "cat a.py b.py"}', None),
        ("Bash", "not json", None),
    ],
)
def test_calls_are_about_files(tool: str, arguments: str, touch: Touch | None) -> None:
    assert files.touched(tool, arguments) == touch


PATCH = "*** Begin Patch\n*** Update File: src/a.py\n@@\n-x\n+y\n*** Add File: src/b.py\n+z\n*** End Patch"
CHANGED, ADDED = Touch("src/a.py", "change", is_whole=True), Touch("src/b.py", "write", is_whole=True)


@pytest.mark.parametrize(
    ("tool", "given", "found"),
    [
        ("apply_patch", PATCH, (CHANGED, ADDED)),
        ("apply_patch", {"input": PATCH}, (CHANGED, ADDED)),
        ("shell", {"command": ["bash", "-lc", f"apply_patch <<'EOF'\n{PATCH}\nEOF"]}, (CHANGED, ADDED)),
        ("shell", {"command": ["bash", "-lc", "cat > src/b.py <<'EOF'\nx > src/c.py\nEOF"]}, (ADDED,)),
        ("exec_command", {"cmd": "sed -i 's|x|y|; s/a/b/' src/a.py && make"}, (CHANGED,)),
        ("exec_command", {"cmd": "echo x >> ./src/a.py"}, (CHANGED,)),
        ("bash", {"command": "python3 - <<'EOF'\np = 'src/a.py'\nopen(p, 'w').write(x)\nEOF"}, (CHANGED,)),
        ("bash", {"command": "python3 - <<'EOF'\nprint(open('src/a.py').read())\nEOF"}, ()),
        ("exec_command", {"cmd": "echo x | tee src/b.py"}, (ADDED,)),
        ("exec_command", {"cmd": "make 2>&1 > /dev/null; awk '$1 > 5' src/a.py"}, ()),
        ("exec_command", {"cmd": "cat src/a.py"}, (Touch("src/a.py", "read", is_whole=True),)),
        (
            "exec",
            'const r = await tools.exec_command({cmd: "cat src/a.py"});\ntext(r.output);',
            (Touch("src/a.py", "read", is_whole=True),),
        ),
        ("exec", "await tools.exec_command({workdir: '/x', cmd: `echo x >> src/a.py`})", (CHANGED,)),
        ("exec", f"await tools.apply_patch(`{PATCH}`)", (CHANGED, ADDED)),
        ("shell", {"command": ["bash", "-lc", "cat src/a.py"]}, (Touch("src/a.py", "read", is_whole=True),)),
        ("Edit", {"file_path": "src/a.py", "old_string": "a > b.c"}, (CHANGED,)),
        ("edit", {"replacements": [{"filePath": "src/a.py"}, {"filePath": "src/a.py"}]}, (CHANGED,)),
        ("Write", {"file_path": "src/b.py", "content": PATCH}, (ADDED,)),
        ("str_replace_editor", {"command": "create", "path": "src/b.py", "file_text": PATCH}, (ADDED,)),
        ("apply_patch", {"input": PATCH + "\n" + "x" * 9_000}, (CHANGED, ADDED)),
    ],
)
def test_calls_change_files(tool: str, given: Any, found: tuple[Touch, ...]) -> None:
    assert files.touches(tool, given if isinstance(given, str) else json.dumps(given)) == found


def test_a_file_that_is_patched_from_its_folder_is_one_that_was_edited() -> None:
    patch: Step = (
        "apply_patch",
        {"input": "*** Begin Patch\n*** Update File: src/a.py\n@@\n-x\n+y\n*** End Patch"},
        "Done!",
    )
    assert ripe_at([read("/home/me/src/a.py", "x"), patch]) == 8
    assert ripe_at([read("/home/me/src/b.py", "x"), patch]) == 4


@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
def test_what_the_model_spoke_of_since_is_known(dialect: str) -> None:
    steps = [read("src/alpha.py", "def load_rows(): ...\ndef other(): ..."), run("grep load_rows src", "nothing")]
    call = sessions.call(sessions.bodies(steps, dialect)[-1], dialect)
    said = mentions.talk(call.document or {})
    assert len(said) == 2
    assert mentions.words(steps[0][2], said[1:]) == ("load_rows",)
    assert mentions.asked(call) == [sessions.TASK]


@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
def test_marks_are_those_of_the_outline(dialect: str) -> None:
    provider = sessions.PROVIDERS[dialect]
    call = sessions.call(sessions.bodies([run("make", "done")], dialect)[-1], dialect)
    assert provider.marks(call) == [ttl for _, ttl in provider.outline(call).marks]
    assert len(provider.marks(call)) == (2 if dialect == "anthropic" else 0)


MARK = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize("has_own", [False, True])
def test_what_the_provider_marks_by_itself_is_a_mark_on_the_last_block(has_own: bool) -> None:
    document = orjson.loads(sessions.bodies([run("make", "done")], "anthropic")[-1])
    document |= {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    if not has_own:
        del document["messages"][-1]["content"][-1]["cache_control"]
    call = anthropic.parse(orjson.dumps(document))
    drawn = anthropic.outline(call)
    assert anthropic.marks(call) == [ttl for _, ttl in drawn.marks] == ["5m", "5m" if has_own else "1h"]
    assert drawn.marks[-1][0] == len(drawn.chars)


def test_marks_inside_of_a_result_are_marks_on_it() -> None:
    document = orjson.loads(sessions.bodies([run("make", "done")], "anthropic")[-1])
    result = document["messages"][-1]["content"][-1]
    result["content"] = [{"type": "text", "text": "done", **MARK}, {"type": "text", "text": "well"}]
    call = anthropic.parse(orjson.dumps(document))
    assert anthropic.marks(call) == ["5m"] * 3
    assert [end for end, _ in anthropic.outline(call).marks][1:] == [len(anthropic.outline(call).chars)] * 2
