from __future__ import annotations

import logging

import pytest

from budgets import credentials, keys, snapshot
from budgets.models import Team, UpstreamCredential

pytestmark = pytest.mark.usefixtures("database")


def test_a_keys_own_credential_goes_before_its_teams_and_that_before_everybodys() -> None:
    key, _ = keys.create("a", team="core")
    other, _ = keys.create("b", team="core")
    alone, _ = keys.create("c")
    team = Team.objects.get()
    credentials.put("anthropic", "sk-all")
    credentials.put("anthropic", "sk-team", team=team)
    credentials.put("anthropic", "sk-old", key=key)
    credentials.put("anthropic", " sk-key\n", key=key)
    seen = snapshot.load()
    owner = f"team:{team.pk}"
    assert seen.credential(str(key.pk), owner, "anthropic") == "sk-key"
    assert seen.credential(str(other.pk), owner, "anthropic") == "sk-team"
    assert seen.credential(str(alone.pk), f"key:{alone.pk}", "anthropic") == "sk-all"
    assert seen.credential(str(key.pk), owner, "openai") == ""
    assert "sk-" not in repr(seen) + "".join(map(str, UpstreamCredential.objects.values_list("sealed", flat=True)))
    credentials.remove("anthropic", key=key)
    assert snapshot.load().credential(str(key.pk), owner, "anthropic") == "sk-team"
    with pytest.raises(credentials.NoSuchCredential):
        credentials.remove("anthropic", key=key)


@pytest.mark.parametrize("secret", ["", "two words", "ü", "a\nb", "x" * 5000, "hr_" + "x" * 40])
def test_what_is_no_credential_is_refused_and_not_repeated(secret) -> None:
    with pytest.raises(credentials.BadCredential) as refusal:
        credentials.put("anthropic", secret)
    assert len(secret) < 3 or secret not in str(refusal.value)


def test_one_that_cannot_be_read_is_named_and_the_others_work(settings, caplog) -> None:
    credentials.put("anthropic", "sk-1")
    settings.SECRET_KEY = "another"
    credentials.put("openai", "sk-2")
    with caplog.at_level(logging.ERROR):
        seen = snapshot.load()
    assert seen.credentials == {("", "openai"): "sk-2"}
    assert "anthropic for every key" in caplog.text
