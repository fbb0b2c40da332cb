"""Every way back to an original is noted, and everything that can be wanted back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from headroom import messages, pipeline
from headroom.values import Policy
from proxy import compression, decisions
from proxy.decisions import Batch, Kept
from proxy.learning.models import FormUse
from proxy.learning.parts import Part
from proxy.retrieval import lookup
from proxy.retrieval.lookup import Gone, Wanted
from proxy.window import records
from proxy.window.records import Record
from tests.proxy.requests import make_decided, make_result

pytestmark = pytest.mark.usefixtures("road_database")
NOW = datetime.now(UTC)
LIFE = timedelta(hours=48)
TEXT = "\n".join(f"line {n}" for n in range(100))
LOG = "\n".join(f"2024-01-02 03:04:{at % 60:02} INFO served /items/{at * 7} in {at % 90} ms" for at in range(300))
HASH = pipeline.original_hash(TEXT)


def shorten(tool: str = "Bash") -> None:
    made = make_decided(original_hash=HASH, level="balanced")
    decisions.store(Batch("local", {"k": made}, {"k": make_result(TEXT, tool=tool)}), NOW, LIFE)


def asked() -> Part:
    return Part(FormUse.objects.get(hash=HASH).asked)


def test_fetches_add_up_to_the_parts_that_were_wanted() -> None:
    shorten()
    assert asked() == Part(0)
    assert not isinstance(lookup.fetch("local", Wanted(HASH, start_line=90, end_line=95)), Gone)
    lookup.fetch("local", Wanted(HASH, query="Traceback"))
    lookup.fetch("local", Wanted(HASH, query="Traceback"))
    assert asked() == Part.TAIL | Part.ERRORS
    assert isinstance(lookup.fetch("team:1", Wanted(HASH)), Gone)
    assert asked() == Part.TAIL | Part.ERRORS, "nobody else's fetch counts"


def test_an_agent_that_reads_the_file_of_a_marker_is_noted() -> None:
    shorten()
    path = f"/home/me/.headroom/originals/local/{HASH}.txt"
    reads = [{"file_path": path, "offset": 1, "limit": 20}, {"file_path": "/src/a.py"}]
    lookup.note_reads("local", [make_result(tool="Read", arguments=json.dumps(one)) for one in reads], NOW)
    assert asked() == Part.HEAD


def test_the_file_of_a_marker_is_none_that_others_are_compared_with() -> None:
    for n, path in enumerate((f"/home/me/.headroom/originals/local/{HASH}.txt", "/src/a.py")):
        result = make_result(TEXT, tool="Read", arguments=json.dumps({"file_path": path}))
        decisions.store(Batch("local", {str(n): make_decided(original_hash="")}, {str(n): result}), NOW, LIFE)
    assert [use.key for use in FormUse.objects.filter(is_file=True)] == ["1"]


def test_what_was_dropped_is_noted_for_each_tool_that_was_in_it() -> None:
    record = Record("chain", 4, ((1, 4, f"[headroom left out 3 messages; GET /v1/retrieve/{HASH}]"),))
    kept = [Kept(HASH, TEXT, "Bash Read", 500, 20, 1)]
    records.store("local", "root", record, kept, ("estimate", 900, 400), NOW)
    lookup.fetch("local", Wanted(HASH))
    noted = FormUse.objects.order_by("tool").values_list("tool", "form", "level", "asked")
    assert list(noted) == [("Bash", "dropped", "dropped", Part.WHOLE), ("Read", "dropped", "dropped", Part.WHOLE)]


def test_so_is_what_was_compressed_for_somebody_else_to_send() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "Bash", "arguments": "{}"}}
    sent = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": LOG},
        {"role": "tool", "tool_call_id": "unknown", "content": LOG.replace("items", "things")},
    ]
    result = messages.compress(sent, model="m", policy=Policy(), explain=True)
    for _ in range(2):
        compression._keep_originals("local", result)
    lookup.fetch("local", Wanted(pipeline.original_hash(LOG)))
    ((tool, level, was_asked),) = FormUse.objects.values_list("tool", "level", "asked")
    assert (tool, level, was_asked) == ("Bash", "balanced", Part.WHOLE), "of a tool without a name nothing is learned"
