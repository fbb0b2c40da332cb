"""A checkout starts itself with nothing but Python: real processes, without site-packages, on a copy of the two files.

The `.venv` in it holds a stand-in that writes down how it was called instead of a Python with pip, so that no test
installs anything.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from headroom_site import bootstrap

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = """#!/bin/sh
printf '%s\\n' "$*" >> "$(dirname "$0")/calls"
[ "$2" = pip ] && exit "$(cat "$(dirname "$0")/pip-status")"
exit 0
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "headroom_site").mkdir()
    for name in ("manage.py", "pyproject.toml", "headroom_site/__init__.py", "headroom_site/bootstrap.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").write_text(STAND_IN)
    (programs / "python").chmod(0o755)
    (programs / "pip-status").write_text("0")
    return tmp_path


def run(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python3 manage.py …` by a Python that has no packages."""
    command = [sys.executable, "-S", "-E", "manage.py", *arguments]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=120, check=False)


def calls(checkout: Path) -> list[str]:
    log = checkout / ".venv" / "bin" / "calls"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


def test_first_command_installs_once_and_goes_on_inside(checkout):
    assert run(checkout, "proxy", "--port", "9").returncode == 0
    install, command = calls(checkout)
    assert install.startswith("-m pip install") and install.endswith(f"--editable {checkout}")
    assert command == "manage.py proxy --port 9"

    run(checkout, "proxy")
    assert calls(checkout) == ["manage.py proxy"]


def test_tests_install_more_and_that_is_enough_for_serving(checkout):
    run(checkout, "proxy")
    calls(checkout)
    run(checkout, "test", "-q")
    install, command = calls(checkout)
    assert install.endswith(f"--editable {checkout}[dev]")
    assert command == "manage.py test -q"

    run(checkout, "proxy")
    assert calls(checkout) == ["manage.py proxy"]


def test_changed_requirements_are_installed(checkout):
    run(checkout, "proxy")
    calls(checkout)
    with (checkout / "pyproject.toml").open("a") as file:
        file.write("# one more\n")
    run(checkout, "proxy")
    assert len(calls(checkout)) == 2


def test_failed_installation_is_said_and_tried_again(checkout):
    (checkout / ".venv" / "bin" / "pip-status").write_text("3")
    failed = run(checkout, "proxy")
    assert failed.returncode != 0
    assert "Could not install" in failed.stderr and "Traceback" not in failed.stderr
    assert len(calls(checkout)) == 1

    (checkout / ".venv" / "bin" / "pip-status").write_text("0")
    assert run(checkout, "proxy").returncode == 0
    assert len(calls(checkout)) == 2


def test_everything_that_is_looked_for_is_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = "\n".join(project["dependencies"] + project["optional-dependencies"]["dev"])
    modules_by_distribution = {"django-ninja": "ninja", "dj-database-url": "dj_database_url", "pyyaml": "yaml"}
    for distribution, module in modules_by_distribution.items():
        wanted = wanted.replace(distribution, module)
    assert [name for name in bootstrap.NEEDED_TO_TEST if name not in wanted] == []
    assert bootstrap._missing(bootstrap.NEEDED_TO_TEST) == []
