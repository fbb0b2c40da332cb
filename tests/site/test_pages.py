"""What every page has in common: its headers, and that it needs nothing from elsewhere and nothing inline."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted(path for path in (ROOT / "templates").rglob("*.html"))
INLINE = re.compile(
    r"<style|\sstyle=|\son\w+=|<script(?![^>]*\b(?:src=|type=\"application/json\"))|javascript:", re.IGNORECASE
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/dashboard", "/login", "/static/headroom/app.css", "/nothing-here"])
def test_every_answer_carries_the_headers(client, path):
    headers = client.get(path).headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    if not path.startswith("/static/"):
        assert headers["X-Frame-Options"] == "DENY"
        assert "no-store" in headers["Cache-Control"]


async def test_a_file_that_an_update_made_longer_is_served_whole(async_client, settings, tmp_path):
    settings.STATICFILES_DIRS = [tmp_path]
    finders.get_finder.cache_clear()
    for text in (b"short", b"a good deal longer", b""):
        (tmp_path / "new.css").write_bytes(text)
        answer = await async_client.get("/static/new.css")
        assert b"".join([part async for part in answer.streaming_content]) == text
        assert answer.headers["Content-Length"] == str(len(text))
    finders.get_finder.cache_clear()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_script_or_style_inside_or_from_elsewhere(template):
    text = template.read_text()
    assert INLINE.findall(text) == []
    assert re.findall(r"(?:src|href)=\"(?:https?:)?//[^\"]*", text) == []


def test_dark_is_the_same_whether_the_system_or_a_person_asks_for_it():
    css = (ROOT / "headroom_site" / "static" / "headroom" / "app.css").read_text()
    system = re.search(r"prefers-color-scheme: dark\) \{\s*:root[^{]*\{([^}]*)\}", css)
    person = re.search(r":root\[data-theme=\"dark\"\] \{([^}]*)\}", css)
    assert system is not None and person is not None
    assert system.group(1).split() == person.group(1).split()
