"""What `pip install headroom-proxy` brings: the wheel is built and looked into."""

from __future__ import annotations

import email
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("headroom", "headroom_site", "proxy", "budgets", "savings", "templates")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is packed: the builder leaves folders behind, and the checkout may change meanwhile."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source / name)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    return source


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(target), str(source)], check=True, capture_output=True, text=True)
    return zipfile.ZipFile(next(target.glob("*.whl")))


def test_every_module_template_and_data_file_is_in_it(source, wheel):
    files = {
        path.relative_to(source) for package in PACKAGES for path in (source / package).rglob("*") if path.is_file()
    }
    expected = {path.as_posix() for path in files}
    assert {"proxy/replay/__init__.py", "savings/migrations/__init__.py", "templates/base.html"} <= expected
    assert sorted(expected - set(wheel.namelist())) == []


def test_nothing_else_is_in_it(wheel):
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_licence_and_notice_come_with_it(wheel):
    names = {name.rpartition("/")[2] for name in wheel.namelist() if ".dist-info/" in name}
    assert {"LICENSE", "NOTICE"} <= names


def test_it_brings_the_command_and_says_what_it_needs(wheel):
    details = next(name for name in wheel.namelist() if name.endswith("/METADATA"))
    metadata = email.message_from_bytes(wheel.read(details))
    assert metadata["Name"] == "headroom-proxy"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    entry_points = next(name for name in wheel.namelist() if name.endswith("/entry_points.txt"))
    assert b"headroom = headroom_site.cli:main" in wheel.read(entry_points)
