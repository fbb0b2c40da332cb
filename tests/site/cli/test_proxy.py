"""`headroom proxy`: what is said to those who start it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from headroom_site import server
from headroom_site.cli import main

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("flag", ["--llmlingua", "--llmlingua-device=cpu", "--no-llmlingua"])
def test_a_retired_flag_names_what_took_its_place(flag: str) -> None:
    result = CliRunner().invoke(main, ["proxy", flag])
    assert result.exit_code == 2
    assert f"{flag.partition('=')[0]} is retired" in result.output and "HEADROOM_ML_MODEL_DIR" in result.output


@pytest.mark.parametrize(
    ("flags", "named"), [(["--mode", "fast"], "HEADROOM_MODE='fast' is not valid"), (["--workers", "2"], "--workers 2")]
)
def test_what_means_nothing_is_refused_in_one_line(tmp_path: Path, flags: list[str], named: str) -> None:
    env = {**os.environ, "HEADROOM_WORKSPACE_DIR": str(tmp_path / "workspace")}
    command = [sys.executable, "manage.py", "proxy", *flags]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: {named}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["help"], "replay          Price recorded"),
        (["help", "replay"], "--demo"),
        (["help", "check"], "Checks the entire Django project"),
        ([], "replay          Price recorded"),
    ],
)
def test_help_in_a_checkout_is_about_our_commands_first(asked: list[str], words: str) -> None:
    command = [sys.executable, "manage.py", *asked]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert words in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize("is_required", [True, False])
def test_where_keys_are_required_the_greeting_says_how_to_send_one(settings: Any, is_required: bool) -> None:
    settings.REQUIRE_KEY = is_required
    assert ("x-headroom-key: hr_…" in "\n".join(server._banner_lines())) is is_required
