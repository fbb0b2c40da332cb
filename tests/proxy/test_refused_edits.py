from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from proxy import database
from proxy.models import RefusedEdit
from proxy.refused_edits import MAX_REFUSED, RefusedEdits
from proxy.upstream import Answer
from proxy.values import Call


def call(length: int) -> Call:
    """A request of one conversation with so many messages."""
    messages: list[Any] = [{"role": "user", "content": f"message {n}"} for n in range(length)]
    return Call(b"", {"messages": messages}, "gpt-4o", turns=length, conversation="one")


@pytest.mark.usefixtures("store")
async def test_no_more_is_looked_for_than_what_was_refused_last() -> None:
    refused, last = RefusedEdits(), MAX_REFUSED + 9
    response: Any = SimpleNamespace()
    taken = Answer(200, [], response)
    for length in range(1, last + 1):
        await refused.note(call(length), "local", taken)
    assert await database.run(RefusedEdit.objects.count) == last
    for worker in (refused, RefusedEdits()):
        assert await worker.has(call(last + 1), "local")
        (known,) = worker._known.values()
        assert sorted(length for length, _ in known.refused) == [*range(last - MAX_REFUSED + 1, last + 1)]
