"""Make `python3 manage.py …` work on a machine that has nothing but Python: a `.venv` beside it, built once.

Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
NEEDED_TO_RUN = ("django", "ninja", "aiohttp", "tiktoken", "orjson", "uvicorn", "dj_database_url")
NEEDED_TO_TEST = (*NEEDED_TO_RUN, "pytest", "hypothesis", "anthropic", "openai", "yaml")
MINIMUM_PYTHON = (3, 11)


def enter_environment(argv: list[str]) -> None:
    """Return when everything that the command needs can be imported; else build `.venv` and start again inside it."""
    if sys.version_info < MINIMUM_PYTHON:
        sys.exit(f"Headroom needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    is_test = argv[1:2] == ["test"]
    if all(importlib.util.find_spec(name) for name in (NEEDED_TO_TEST if is_test else NEEDED_TO_RUN)):
        return
    python = _python()
    if Path(sys.prefix).resolve() == VENV.resolve() or not _is_current(is_test):
        _build(python, "dev" if is_test else "")
    os.execv(python, [str(python), *argv])


def _python() -> Path:
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _stamp(is_test: bool) -> str:
    pyproject = (ROOT / "pyproject.toml").read_bytes()
    return hashlib.sha256(pyproject + (b"test" if is_test else b"run")).hexdigest()


def _is_current(is_test: bool) -> bool:
    """Whether `.venv` was built from this very `pyproject.toml`, for this purpose or the larger one."""
    stamp = VENV / "headroom-stamp"
    built = stamp.read_text(encoding="ascii").split() if stamp.exists() and _python().exists() else []
    return _stamp(True) in built or (not is_test and _stamp(False) in built)


def _build(python: Path, extra: str) -> None:
    print(f"Setting up {VENV} (once; about a minute) …", file=sys.stderr, flush=True)
    if not python.exists():
        venv.create(VENV, with_pip=True)
    target = f"{ROOT}[{extra}]" if extra else str(ROOT)
    try:
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable", target], check=True)
    except subprocess.CalledProcessError as exc:
        sys.exit(f"Could not install Headroom's dependencies (pip ended with {exc.returncode}); see the lines above.")
    (VENV / "headroom-stamp").write_text(_stamp(extra == "dev") + "\n", encoding="ascii")
