"""Values of the environment that mean nothing are refused by name."""

from __future__ import annotations

import pytest

from headroom_site import env

LEVELS = ("lossless", "balanced", "deep")


def test_pairs_keep_their_order_and_the_first_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", " Bash = lossless, mcp__logs__*=deep ,Bash=deep,")
    assert list(env.pairs("X", LEVELS).items()) == [("Bash", "lossless"), ("mcp__logs__*", "deep")]


@pytest.mark.parametrize("value", ["Bash", "=deep", "Bash=shallow", "Bash=", "Bash=deep;Read=deep"])
def test_a_pair_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("X", value)
    with pytest.raises(env.BadEnvironment, match=r"X=.* is not valid: expected NAME=CHOICE"):
        env.pairs("X", LEVELS)


def test_a_share_is_above_0_and_at_most_1(monkeypatch: pytest.MonkeyPatch) -> None:
    assert env.share("X") is None
    monkeypatch.setenv("X", "0.25")
    assert env.share("X") == 0.25
    for value in ("0", "-1", "1.01", "nan", "inf", "30%"):
        monkeypatch.setenv("X", value)
        with pytest.raises(env.BadEnvironment):
            env.share("X")
