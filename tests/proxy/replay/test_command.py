from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from headroom_site.cli import main
from tests.proxy.replay.test_playback import MODEL, RECORDS, log, steps


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "chat.json").write_text(json.dumps({"messages": steps(RECORDS, "ok"), "model": MODEL}))
    (tmp_path / "project" / "log.jsonl").write_text(log(60, 60))
    return tmp_path


def replay(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["replay", *map(str, arguments)])


def test_the_demo_session_needs_nothing_and_saves_money() -> None:
    result = replay("--demo", "--json")
    figures = json.loads(result.stdout)
    assert result.exit_code == 0
    assert figures["sessions"] == 1
    assert 8 <= figures["turns"] <= 20
    assert figures["bill_usd"]["saved_percent"] > 5
    assert figures["unpriced_turns"] == {}
    assert len(figures["shrunk"]) >= 3


def test_the_demo_session_holds_no_path_of_a_machine() -> None:
    from_package = Path(__file__).parents[3] / "proxy" / "replay" / "demo" / "session.jsonl"
    text = from_package.read_text("utf-8")
    assert "/home/dev/headroom" in text
    for word in ("/tmp/", "/root", "/usr/", "sk-", "hr_"):
        assert word not in text


def test_a_folder_gives_a_table(folder: Path) -> None:
    result = replay(folder)
    assert result.exit_code == 0
    for words in (
        "2 sessions, 6 turns",
        "bill without headroom",
        "cache writes, 5 min",
        "shrunk by",
        "project/chat.json",
        "in the slowest",
    ):
        assert words in result.stdout
    assert "Replaying" in result.stderr


def test_json_has_the_figures_of_the_table_and_of_every_session(folder: Path) -> None:
    figures = json.loads(replay(folder, "--json").stdout)
    bill = figures["bill_usd"]
    assert bill["saved"] == pytest.approx(bill["before"] - bill["after"])
    assert figures["turns"] == sum(one["turns"] for one in figures["per_session"]) == 6
    assert bill["before"] == pytest.approx(sum(one["bill_usd"]["before"] for one in figures["per_session"]))
    assert figures["tokens"]["cache_read"]["before"] >= figures["tokens"]["cache_read"]["after"] > 0
    assert figures["milliseconds"]["slowest_turn"] > 0


def test_the_turns_of_epochs_are_told_of_each_session() -> None:
    figures = json.loads(replay("--demo", "--json").stdout)
    (session,) = figures["per_session"]
    assert "epoch_turns" not in figures
    assert len(session["epoch_turns"]) == sum(figures["epochs"].values()) > 0


def test_two_runs_give_the_same_figures(folder: Path) -> None:
    first, second = (json.loads(replay(folder, "--json").stdout) for _ in range(2))
    for one in (first, second):
        for part in (one, *one["per_session"]):
            del part["milliseconds"]
    assert first == second


def test_files_that_are_no_recordings_are_named_skipped_and_counted(folder: Path) -> None:
    (folder / "notes.json").write_text('{"a": 1}')
    (folder / "empty.jsonl").write_text("")
    result = replay(folder, folder / "nowhere.json")
    assert result.exit_code == 0
    assert f"skipped {folder / 'notes.json'}: neither a list of messages" in result.stderr
    assert "empty.jsonl: empty" in result.stderr
    assert "nowhere.json: No such file" in result.stderr
    assert "3 files skipped" in result.stderr
    assert len(json.loads(replay(folder, "--json").stdout)["skipped"]) == 2


def test_every_session_is_listed_on_request_also_those_without_a_price(tmp_path: Path) -> None:
    for n in range(12):
        model = MODEL if n < 11 else "nobody-knows-1"
        told = {"messages": steps(RECORDS, "ok"), "model": model, "needed": [{"fact": "server-0", "used_at": 3}]}
        (tmp_path / f"chat{n:02}.json").write_text(json.dumps(told))
    few, every = replay(tmp_path).stdout, replay(tmp_path, "--all").stdout
    assert "and 2 sessions more; --all lists them" in few and "chat11" not in few
    assert all(f"chat{n:02}.json" in every for n in range(12)) and "more; --all" not in every
    (unpriced,) = (line for line in every.splitlines() if "chat11" in line)
    assert "no price" in unpriced and unpriced.endswith("of 1"), "what was hidden needs no price"
    assert (
        "no price is known for nobody-knows-1 of its provider: 3 turns left out of the bill (--model prices them as another)"
        in every
    )


def test_a_page_that_cannot_be_written_is_told_before_the_work(folder: Path) -> None:
    result = replay(folder, "--html", folder / "nowhere" / "page.html")
    assert result.exit_code == 2 and "there is no folder" in result.stderr
    assert "Replaying" not in result.stderr


def test_nothing_readable_is_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text("hello")
    for target in (tmp_path, tmp_path / "nowhere.jsonl"):
        result = replay(target)
        assert result.exit_code == 2
        assert "no session could be read" in result.stderr
        assert "Traceback" not in result.output


def test_no_path_is_explained() -> None:
    result = replay()
    assert result.exit_code == 2
    assert "--demo" in result.stderr


def test_a_model_without_a_price_is_named(folder: Path) -> None:
    result = replay(folder, "--model", "claude-nobody-sells")
    assert result.exit_code == 0
    assert "no price is known for claude-nobody-sells of its provider: 6 turns" in result.stdout
    assert "bill without headroom" not in result.stdout


def test_turns_can_be_limited(folder: Path) -> None:
    assert json.loads(replay(folder, "--json", "--max-turns", 1).stdout)["turns"] == 2
    assert replay(folder, "--max-turns", 0).exit_code == 2


def test_help_says_what_may_be_read_and_that_nothing_is_sent() -> None:
    text = replay("--help").stdout
    assert "~/.claude/projects" in text
    assert "Nothing is sent anywhere" in text
