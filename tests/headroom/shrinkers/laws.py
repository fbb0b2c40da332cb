"""What every shrinker owes to any text: no exception, the same answer twice, and nothing more to fold in its own output."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hypothesis import strategies as st

from headroom.values import Form, Policy, Source, ToolCall

Forms = Callable[[Source], Iterable[Form]]
LEVELS = st.sampled_from(["lossless", "balanced", "deep"])
NO_CALL = ToolCall()


def forms(shrinker: Forms, text: str, *, level: str = "balanced", call: ToolCall = NO_CALL) -> dict[str, Form]:
    return {form.name: form for form in shrinker(Source(text, call, Policy(level=level)))}  # type: ignore[arg-type]


def assert_kept(shrinker: Forms, text: str, level: str, call: ToolCall = NO_CALL) -> None:
    """Fail when the shrinker wavers, calls a form lossy at level lossless, or shortens its own lossless form again."""
    found = forms(shrinker, text, level=level, call=call)
    assert found == forms(shrinker, text, level=level, call=call)
    if level == "lossless":
        assert not any(form.is_lossy for form in found.values())
    for form in found.values():
        again = forms(shrinker, form.text, level=level, call=call) if not form.is_lossy else {}
        assert all(len(other.text) >= len(form.text) for other in again.values() if not other.is_lossy)
