"""Test runs as JSON lines (`go test -json`, Dart's reporter): what passed is counted, everything else stays verbatim."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import orjson

from headroom.values import Form, Source

_MIN_EVENTS = 4
_ROUTINE_ACTIONS = frozenset(["run", "pause", "cont", "start", "pass"])
_ROUTINE_OUTPUT = re.compile(r"\s*(?:=== (?:RUN|PAUSE|CONT|NAME)|--- PASS)\b|\s*$")
_TELLING_OUTPUT = re.compile(r"\w\.\w{1,5}:\d+|\bpanic\b|--- (?:FAIL|SKIP)|^(?:FAIL|PASS|ok|coverage)\b")
_ROUTINE_TYPES = frozenset(["testStart", "testDone", "group", "suite"])


def forms(source: Source) -> Iterable[Form]:
    """Yield the events that say more than "started" or "passed", with counts in place of the others."""
    lines = [line for line in source.text.split("\n") if line.strip()]
    events = [_event(line) for line in lines]
    if source.policy.level == "lossless" or sum(1 for event in events if event) < max(_MIN_EVENTS, 0.8 * len(lines)):
        return
    is_routine = _go_routine(events) if any("Action" in event for event in events) else _dart_routine(events)
    out: list[str] = []
    hidden = 0
    run = 0
    for line, routine in [*zip(lines, is_routine, strict=True), ("", False)]:
        if routine:
            run += 1
            continue
        if run:
            out.append(f"[{run:,} events of tests that started or passed]")
            hidden += run
            run = 0
        out.append(line)
    if hidden:
        yield Form("\n".join(out).rstrip("\n"), "test_events", f"{hidden:,} of {len(lines):,} events")


def _event(line: str) -> dict[str, Any]:
    if not line.startswith("{") or ('"Action"' not in line and '"type"' not in line):
        return {}
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return event if isinstance(event, dict) else {}


def _go_routine(events: list[dict[str, Any]]) -> list[bool]:
    failed = {(event.get("Package"), event.get("Test")) for event in events if event.get("Action") == "fail"}
    return [_is_go_routine(event, failed) for event in events]


def _is_go_routine(event: dict[str, Any], failed: set[tuple[object, object]]) -> bool:
    action, test = event.get("Action"), event.get("Test")
    if action in _ROUTINE_ACTIONS:
        return action != "pass" or test is not None
    output = event.get("Output")
    if action != "output" or not isinstance(output, str) or _TELLING_OUTPUT.search(output):
        return False
    return (event.get("Package"), test) not in failed or _ROUTINE_OUTPUT.match(output) is not None


def _dart_routine(events: list[dict[str, Any]]) -> list[bool]:
    unlucky = {event.get("testID") for event in events if event.get("type") == "error"}
    unlucky |= {event.get("testID") for event in events if event.get("type") == "testDone" and _is_unlucky(event)}
    return [
        event.get("type") in _ROUTINE_TYPES and _dart_id(event) not in unlucky and event.get("type") != "suite"
        for event in events
    ]


def _is_unlucky(event: dict[str, Any]) -> bool:
    return event.get("result") != "success" or event.get("skipped") is True


def _dart_id(event: dict[str, Any]) -> object:
    test = event.get("test")
    return test.get("id") if isinstance(test, dict) else event.get("testID")
