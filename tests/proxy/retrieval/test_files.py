from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.test import override_settings

from headroom import pipeline
from headroom.values import Policy, ToolCall
from proxy import decisions
from proxy.decisions import Decided, Kept
from proxy.retrieval import files, words
from tests.proxy.requests import make_result

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIFE = timedelta(hours=48)
LOG = "\n".join(f"12:00:{n % 60:02} INFO worker {n} finished its task after {n % 7} ms" for n in range(300))
HASH = pipeline.original_hash(LOG)


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path) -> Iterator[Path]:
    words._absolute.cache_clear()
    with override_settings(WORKSPACE_DIR=tmp_path, ORIGINAL_FILES=True, IS_LOOPBACK=True, HOST="127.0.0.1", PORT=8787):
        yield tmp_path
    words._absolute.cache_clear()


def shrunk(owner: str = "local", *, is_told: bool = False) -> Decided:
    policy = Policy(retrieval=words.way_back(owner), is_told=is_told)
    return Decided.from_shrunk(pipeline.shrink(LOG, call=ToolCall("Bash"), policy=policy), policy)


def test_the_file_that_a_marker_names_holds_the_original_for_its_user_alone() -> None:
    made = {"k": shrunk("team:1")}
    assert files.written("team:1", made, {"k": make_result(LOG)}) == made
    named = (made["k"].form or "").rpartition("file ")[2].rstrip("]")
    assert Path(named).read_text() == LOG
    assert Path(named).stem == HASH
    assert stat.S_IMODE(Path(named).stat().st_mode) == 0o600
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in list(Path(named).parents)[:2]} == {0o700}
    assert files.path("team:2", HASH) != Path(named)


def test_a_marker_that_gives_only_the_name_has_its_file_as_well() -> None:
    made = {"k": shrunk(is_told=True)}
    assert files.written("local", made, {"k": make_result(LOG)}) == made
    assert (made["k"].form or "").endswith(f"; kept as {HASH}]")
    assert files.path("local", HASH).read_text() == LOG


@pytest.mark.parametrize("is_told", [False, True])
def test_with_the_disk_full_the_marker_names_the_route(workspace: Path, is_told: bool) -> None:
    (workspace / "originals").write_text("in the way")  # as good as a full disk: nothing can be written there
    made = shrunk(is_told=is_told)
    held = files.written("local", {"k": made}, {"k": make_result(LOG)})["k"]
    assert held.form is not None
    assert held.form.endswith(f"full text: GET http://127.0.0.1:8787/v1/retrieve/{HASH}]")
    assert held.form.count("\n") == (made.form or "").count("\n")
    assert pipeline.is_shrunk(held.form)


@pytest.mark.usefixtures("road_database")
def test_files_go_with_their_originals() -> None:
    files.write("local", "a" * 24, "kept")
    files.write("local", "b" * 24, "expired")
    files.write("team:1", "a" * 24, "somebody else's")
    for file in words.root().glob("*/*"):
        os.utime(file, (0, 0))
    decisions.keep_originals("local", [Kept("a" * 24, "kept", "Bash", 9, 1, 1)], NOON, LIFE)
    decisions.keep_originals("local", [Kept("b" * 24, "expired", "Bash", 9, 1, 1)], NOON - LIFE, LIFE)
    assert files.prune(NOON + timedelta(hours=1), LIFE) == 2
    assert [file.stem for file in words.root().glob("*/*.txt")] == ["a" * 24]


@pytest.mark.parametrize(
    ("tool", "arguments", "hash"),
    [
        ("Read", '{"file_path": "/home/u/.headroom/originals/local/%s.txt", "offset": 3}', HASH),
        ("Bash", '{"command": "rg -n oops /w/originals/ab12/%s.txt | head"}', HASH),
        ("Bash", '{"command": "curl -s http://127.0.0.1:8787/v1/retrieve/%s?query=x"}', ""),
        ("Bash", '{"command": "curl -d \'{\\"hash\\": \\"%s\\"}\' localhost:8787/v1/retrieve"}', None),
        ("Read", '{"file_path": "/src/originals/%s.txt"}', None),
        ("mcp__headroom__headroom_retrieve", '{"hash": "%s"}', ""),
    ],
)
def test_what_was_fetched_is_recognised(tool: str, arguments: str, hash: str | None) -> None:
    call = ToolCall(tool, arguments.replace("%s", HASH))
    assert words.is_retrieval(call) == (hash is not None or "retrieve" in arguments)
    assert words.file_read(call) == (hash or "")
