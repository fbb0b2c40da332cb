"""Output of compilers, linters, installers and their reports: findings kept, routine folded."""

from __future__ import annotations

from collections.abc import Iterable

from headroom.shrinkers import diagnostics, frames, test_output
from headroom.values import Form, Source


def forms(source: Source) -> Iterable[Form]:
    """Yield findings grouped by file or message or with less source, then the forms that test output has as well."""
    yield from diagnostics.forms(source)
    yield from frames.forms(source)
    yield from test_output.forms(source)
