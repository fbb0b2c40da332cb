from __future__ import annotations

import pytest

from budgets import sealing

SECRET = "sk-ant-" + "x" * 50


def test_what_was_sealed_opens_and_does_not_show() -> None:
    sealed = sealing.seal(SECRET, "anthropic")
    assert SECRET not in sealed
    assert sealing.open_sealed(sealed, "anthropic") == SECRET
    assert sealing.seal(SECRET, "anthropic") != sealed


@pytest.mark.parametrize(
    "damage",
    [lambda s: s[:-4], lambda s: s[:10] + "AAAA" + s[14:], lambda s: "2:" + s[2:], lambda s: "", lambda s: "1:%"],
)
def test_what_was_altered_does_not_open(damage) -> None:
    with pytest.raises(sealing.Unreadable):
        sealing.open_sealed(damage(sealing.seal(SECRET, "anthropic")), "anthropic")


def test_it_opens_for_its_own_purpose_and_installation_only(settings) -> None:
    sealed = sealing.seal(SECRET, "anthropic")
    with pytest.raises(sealing.Unreadable):
        sealing.open_sealed(sealed, "openai")
    settings.SECRET_KEY = "another"
    with pytest.raises(sealing.Unreadable, match="HEADROOM_SECRET_KEY"):
        sealing.open_sealed(sealed, "anthropic")
