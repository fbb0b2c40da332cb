from __future__ import annotations

import uuid
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from budgets import gate, keys, snapshot
from budgets.models import ApiKey, Revision, Team

pytestmark = pytest.mark.usefixtures("database")
SECRET = "hr_" + "x" * 40


def revision() -> int:
    return int(Revision.objects.get(pk=keys.REVISION).number)


def test_a_key_is_made_with_a_secret_that_is_nowhere_kept() -> None:
    key, secret = keys.create(" laptop ", "core", {"cost centre": "42"}, expires_at=datetime(2030, 1, 1, tzinfo=UTC))
    assert secret.startswith("hr_")
    assert len(secret) == 46
    stored = ApiKey.objects.get()
    assert (stored.pk, stored.name, stored.team, stored.labels) == (
        key.pk,
        "laptop",
        Team.objects.get(),
        {"cost centre": "42"},
    )
    assert secret[keys.PREFIX_CHARS :] not in str(ApiKey.objects.values_list()) + repr(stored) + str(stored)
    assert stored.prefix == secret[:11]


def test_secrets_and_ids_differ_and_teams_are_shared() -> None:
    made = [keys.create("same name", "core") for _ in range(5)]
    assert len({secret for _, secret in made} | {key.pk for key, _ in made}) == 10
    assert Team.objects.count() == 1
    assert [key.pk for key in keys.list_keys()] == [key.pk for key, _ in made]


def test_every_change_moves_the_revision_and_nothing_else_does() -> None:
    keys.create("a")
    seen = [revision()]
    key, _ = keys.create("b")
    seen.append(revision())
    keys.revoke("b")
    seen.append(revision())
    keys.bootstrap(SECRET)
    seen.append(revision())
    assert all(before < after for before, after in pairwise(seen))
    keys.revoke(str(key.pk))
    keys.bootstrap(SECRET)
    keys.list_keys()
    assert revision() == seen[-1]


def test_a_key_is_revoked_by_id_prefix_or_name_once() -> None:
    for reference in ("name", "prefix", "id"):
        key, _ = keys.create(f"key by {reference}")
        revoked = keys.revoke({"name": key.name, "prefix": key.prefix, "id": str(key.pk)}[reference])
        assert (revoked.pk, revoked.revoked_at is None) == (key.pk, False)
        assert keys.revoke(key.name).revoked_at == revoked.revoked_at


def test_revoking_the_wrong_key_does_not_happen() -> None:
    first, _ = keys.create("twin")
    second, _ = keys.create("twin")
    with pytest.raises(keys.AmbiguousKey, match="2 keys"):
        keys.revoke("twin")
    keys.revoke(first.prefix)
    assert keys.revoke("twin").pk == second.pk  # only one of that name is left
    for nobody in ("nobody", str(uuid.uuid4()), "", "%", "' OR 1=1 --"):
        with pytest.raises(keys.NoSuchKey):
            keys.revoke(nobody)


def test_the_key_a_container_brings_is_made_once_and_stays_revoked() -> None:
    key = keys.bootstrap(SECRET)
    assert keys.bootstrap(SECRET).pk == key.pk
    assert ApiKey.objects.count() == 1
    keys.revoke(str(key.pk))
    assert keys.bootstrap(SECRET).revoked_at is not None


@pytest.mark.parametrize(
    "weak", ["", "hr_short", "sk-" + "x" * 40, "hr_" + "x" * 31, "hr_" + "x" * 40 + "\n", "hr_ü" + "x" * 40]
)
def test_a_weak_secret_is_refused_without_repeating_it(weak: str) -> None:
    with pytest.raises(keys.WeakSecret) as refusal:
        keys.bootstrap(weak)
    assert not weak or weak not in str(refusal.value)


@pytest.mark.parametrize("bad", ["", "   ", "a\nb", "a\r\nset-cookie: x", "\x00", "x" * 101, "a\u202eb"])
def test_names_that_would_break_a_line_are_refused(bad: str) -> None:
    for arguments in ((bad,), ("name", bad or " "), ("name", "team", {bad: "v"}), ("name", "team", {"l": bad})):
        with pytest.raises(keys.BadName):
            keys.create(*arguments)
    assert not ApiKey.objects.exists()
    assert not Team.objects.exists()


def test_markup_in_names_is_only_text() -> None:
    key, _ = keys.create("<script>'; DROP TABLE", "<b>")
    assert keys.revoke("<script>'; DROP TABLE").pk == key.pk


def test_a_key_from_the_database_opens_the_gate() -> None:
    key, secret = keys.create("laptop", "core")
    alone, other_secret = keys.create("alone")
    loaded = snapshot.load()

    def identify(secret: str) -> gate.Principal:
        return gate.identify([(b"x-headroom-key", secret.encode())], peer="10.0.0.1", require_key=True, keys=loaded)

    team = Team.objects.get()
    assert identify(secret).owner == f"team:{team.pk}"
    assert (identify(secret).team, identify(secret).key_id) == ("core", str(key.pk))
    assert identify(other_secret).owner == f"key:{alone.pk}"
