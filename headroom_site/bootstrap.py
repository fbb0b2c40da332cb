"""Make `python3 manage.py …` work on a machine that has nothing but Python: a `.venv` beside it, built once.

Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
NEEDED_TO_RUN = ("django", "ninja", "aiohttp", "toktok", "orjson", "uvicorn", "dj_database_url")
NEEDED_TO_TEST = (*NEEDED_TO_RUN, "pytest", "hypothesis", "anthropic", "openai", "yaml")
MINIMUM_PYTHON = (3, 11)
DISTRIBUTION = "headroom-proxy"


def enter_environment(argv: list[str]) -> None:
    """Return when everything that the command needs is installed; else build `.venv` and start again inside it."""
    if sys.version_info < MINIMUM_PYTHON:
        sys.exit(f"Headroom needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    is_test = argv[1:2] == ["test"]
    missing = _missing(NEEDED_TO_TEST if is_test else NEEDED_TO_RUN)
    if not missing:
        return
    python = _python()
    if not _is_current(is_test):
        _build(python, "dev" if is_test else "")
    elif Path(sys.prefix).resolve() == VENV.resolve():
        sys.exit(f"{VENV} lacks {missing[0]}, which was installed there. Delete that folder and try again.")
    os.execv(python, [str(python), *argv])


def _missing(names: tuple[str, ...]) -> list[str]:
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    try:
        metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        missing.append(DISTRIBUTION)
    return missing


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
    sys.stderr.write(f"Setting up {VENV} (once; about a minute) …\n")
    if not python.exists():
        _create()
    target = f"{ROOT}[{extra}]" if extra else str(ROOT)
    try:
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable", target],
            check=True,
        )
    except subprocess.CalledProcessError as exc:
        sys.exit(f"Could not install Headroom's dependencies (pip ended with {exc.returncode}); see the lines above.")
    (VENV / "headroom-stamp").write_text(_stamp(extra == "dev") + "\n", encoding="ascii")


def _create() -> None:
    try:
        venv.create(VENV, with_pip=True)
    except subprocess.CalledProcessError:
        # Debian and Ubuntu keep the part of Python that brings pip in a package of its own. A half-made folder would
        # look like a whole one next time.
        shutil.rmtree(VENV, ignore_errors=True)
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        sys.exit(
            f"This Python cannot make virtual environments with pip. On Debian or Ubuntu: apt install python{version}-venv"
        )
