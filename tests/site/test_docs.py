"""The documents say what is there: settings, flags, routes and links."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from django.urls import get_resolver

from headroom_site import cli

ROOT = Path(__file__).resolve().parents[2]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SETTINGS_PAGE = (ROOT / "docs" / "settings.md").read_text()
READ = re.compile(r"env\.\w+\(\s*\"(\w+)\"")
BOOLEAN_TWINS = {"--allow-anonymous"}


def variables_read() -> set[str]:
    return set(READ.findall((ROOT / "headroom_site" / "settings.py").read_text()))


def test_every_variable_that_is_read_is_listed_and_no_other():
    section, _, for_tests = SETTINGS_PAGE.partition("## For the tests")
    listed = {
        name
        for row in section.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`([A-Z_]{5,})`", row.split("|")[1])
    }
    assert listed == variables_read()
    tests = "".join(path.read_text() for path in sorted((ROOT / "tests").rglob("*.py")))
    assert set(re.findall(r"`(HEADROOM_TEST_\w+)`", for_tests)) == set(re.findall(r'"(HEADROOM_TEST_[A-Z]\w+)"', tests))


def test_variables_marked_file_are_those_that_files_can_give():
    source = (ROOT / "headroom_site" / "settings.py").read_text()
    from_files = set(re.findall(r"env\.(?:text|base_url)\(\s*\"(\w+)\"", source))
    marked = {row.split("`")[1] for row in SETTINGS_PAGE.splitlines() if row.startswith("| `") and "*file*" in row}
    assert marked == from_files


def test_every_flag_of_the_proxy_is_listed():
    command = cli.main.get_command(click.Context(cli.main), "proxy")
    flags = {
        flag for option in command.params for flag in (*option.opts, *option.secondary_opts) if flag.startswith("--")
    }
    assert flags - set(re.findall(r"`(--[\w-]+)`", SETTINGS_PAGE)) == set()


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_local_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert broken == []


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_commands_in_the_documents_exist(page):
    named = re.findall(r"(?:^|`)(?:python3 manage\.py|headroom) ([a-z]+(?:-[a-z]+)*)", page.read_text(), re.MULTILINE)
    assert [name for name in named if name not in {*cli.COMMANDS, "test"}] == []


def test_every_route_of_ours_is_described():
    page = (ROOT / "docs" / "api.md").read_text()
    patterns = [
        str(entry.pattern)
        for resolver in get_resolver("headroom_site.road_urls").url_patterns
        for entry in resolver.url_patterns
    ]
    routes = {"/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", pattern) for pattern in patterns} - {"/", "/{rest}"}
    assert len(routes) > 8
    assert [route for route in sorted(routes) if f"`{route}`" not in page and f" {route}`" not in page] == []


def test_readme_is_short_and_has_the_two_commands_on_its_first_screen():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 150
    first_screen = "\n".join(lines[:25])
    assert "python3 manage.py proxy" in first_screen and "python3 manage.py test" in first_screen
