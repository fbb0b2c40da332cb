from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from headroom.values import Policy
from proxy import decisions, patterns
from proxy.retrieval import lookup
from tests.proxy.requests import make_decided, make_result

pytestmark = pytest.mark.usefixtures("road_database")
NOW = datetime.now(UTC)
LIFE = timedelta(hours=48)


def shorten(count: int, tool: str, *, wanted: int = 0) -> None:
    made = {f"{tool}{n}": make_decided(original_hash=f"{tool}{n}".rjust(24, "0")) for n in range(count)}
    results = {key: make_result(f"text of {key}", tool=tool) for key in made}
    decisions.store("local", made, results, Policy(), NOW, LIFE)
    lookup.note("local", [made[f"{tool}{n}"].original_hash for n in range(wanted)], "route", NOW)


def test_what_was_wanted_back_is_counted_by_tool_and_form() -> None:
    shorten(4, "Bash", wanted=1)
    shorten(2, "Grep")
    bash, grep = patterns.read()
    assert (bash.tool, bash.level, bash.form, bash.shortened, bash.wanted, bash.asks) == (
        "Bash",
        "balanced",
        "log",
        4,
        1,
        1,
    )
    assert (bash.tokens_before, bash.tokens_after, bash.wanted_share) == (400, 40, 0.25)
    assert (grep.tool, grep.wanted) == ("Grep", 0)


def test_a_tool_is_shortened_less_when_enough_of_its_results_are_wanted_back() -> None:
    shorten(40, "Bash", wanted=8)
    shorten(40, "Grep", wanted=7)
    shorten(5, "Read", wanted=5)
    assert patterns.proposal(patterns.read()) == {"Bash": "lossless"}
