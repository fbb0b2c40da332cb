"""The engine on the files that ship with the benchmark: what it keeps there, it keeps."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.engine import corpus, figures
from headroom import Policy, shrink

FILES = list(corpus.files(corpus.SHIPPED, set()))
KEEPS_ALL = frozenset(["test_output", "git_log", "search", "path_list", "build_output", "logs"])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.path)
def test_a_file_gets_shorter_and_keeps_its_facts(file: corpus.File) -> None:
    row, outcome = figures.measure(file, lambda text, call: shrink(text, call=call, policy=Policy()))
    assert file.facts and all(fact in file.text for fact in file.facts)
    assert outcome.is_changed and row.tokens_after < row.tokens_before
    if file.category in KEEPS_ALL:
        assert row.lost == ()


def test_no_file_tells_where_it_was_made() -> None:
    for file in FILES:
        assert set(re.findall(r"/home/(\w+)", file.text)) <= {"dev"} and "/root/" not in file.text, file.path


def test_a_folder_of_ones_own_is_measured_by_its_manifest(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("\n".join(f"2024-01-02 03:04:05 INFO run {at} done" for at in range(500)))
    row = {"path": "a.log", "category": "logs", "facts": ["INFO run 0 done", "not there"]}
    (tmp_path / "MANIFEST.jsonl").write_text(json.dumps(row) + "\n")
    command = [sys.executable, "-m", "benchmarks.engine", "--corpus", str(tmp_path), "--json", "--list-lost"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd=corpus.SHIPPED.parents[2])
    lost, _, figures_text = ended.stdout.partition("\n")
    found = json.loads(figures_text)["logs"]
    assert "not there" in lost and (found["facts"], found["kept_percent"], found["files"]) == (2, 50.0, 1)
    assert found["saved_percent"] > 50 and found["mb_per_s"] > 0
