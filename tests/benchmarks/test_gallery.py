"""The gallery shows what the engine does today."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import gallery


def test_the_page_is_what_the_engine_does() -> None:
    assert gallery.PAGE.read_text() == gallery.page(), "run python -m benchmarks.gallery, and read what changed"


def test_ten_outputs_are_shown_and_no_fence_is_broken() -> None:
    page = gallery.page()
    assert page.count("\n## ") == 10 == len({exhibit.file.split("/")[0] for exhibit in gallery.EXHIBITS})
    assert page.count(f"\n{gallery.FENCE}") == 40
    assert not any(word in page for word in ("/root/", "\x1b"))


def test_whoever_asks_for_help_writes_no_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gallery, "PAGE", tmp_path / "gallery.md")
    monkeypatch.setattr(sys, "argv", ["gallery", "--help"])
    with pytest.raises(SystemExit, match="0"):
        gallery.main()
    assert not gallery.PAGE.exists()
