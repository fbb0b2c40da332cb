"""Output of commands."""

from __future__ import annotations

from collections.abc import Iterable

from headroom.shrinkers import drawn, fixed, records
from headroom.values import Form, Source


def forms(source: Source) -> Iterable[Form]:
    """Yield."""
    yield from records.forms(source.text, source.policy.level, wanted=source.call.arguments)
    yield from drawn.forms(fixed.read(source.text), source.policy.level, wanted=source.call.arguments)
    yield Form("\n".join(drawn.squeeze(line) for line in source.text.split("\n")), "padding")
