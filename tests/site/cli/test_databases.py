"""Commands whose database is away or out of date say so in a line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.site.test_tasks import ROOT


def refused(workspace: Path, url: str, *arguments: str) -> str:
    """The last line of what a command says that cannot do its work."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**os.environ, "HEADROOM_WORKSPACE_DIR": str(workspace), "HEADROOM_DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_a_server_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    said = refused(tmp_path, "postgresql://nobody@127.0.0.1:1/none", "user", "list")
    assert said.startswith("Error: the database does not answer:") and "check HEADROOM_DATABASE_URL" in said


@pytest.mark.postgres
def test_a_server_without_our_tables_is_not_filled_unasked(tmp_path: Path, postgres_url: str) -> None:
    said = refused(tmp_path, postgres_url, "savings")
    assert said.startswith("Error: the database lacks") and "run `python3 manage.py migrate` once" in said
