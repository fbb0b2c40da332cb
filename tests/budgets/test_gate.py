from __future__ import annotations

import hashlib
import hmac

import pytest
from django.conf import settings

from budgets import gate
from budgets.snapshot import Key, Snapshot

NOW = 1_780_000_000.0
SECRET = b"hr_" + b"a1B2-c3_D4" * 4
OTHER = b"hr_" + b"a1B2-c3_" + b"z" * 32


def make_key(secret: bytes = SECRET, **fields: object) -> Key:
    return Key(
        **{  # type: ignore[arg-type]
            "id": "7c0e",
            "name": "laptop",
            "prefix": secret[:11].decode(),
            "secret_sha256": hashlib.sha256(secret).digest(),
            "team": "core",
            "owner": "team:1",
            "expires_at_s": None,
            "revoked_at_s": None,
            **fields,
        }
    )


def make_snapshot(*keys: Key) -> Snapshot:
    return Snapshot(
        {key.prefix: tuple(one for one in keys if one.prefix == key.prefix) for key in keys}, 1, is_loaded=True
    )


KEYS = make_snapshot(make_key())


def identify(
    *headers: tuple[bytes, bytes], peer: str = "127.0.0.1", require_key: bool = True, keys: Snapshot = KEYS
) -> gate.Principal:
    return gate.identify(headers, peer=peer, require_key=require_key, keys=keys, now_s=NOW)


@pytest.mark.parametrize(
    ("header", "presented_in"),
    [
        ((b"x-headroom-key", SECRET), "x-headroom-key"),
        ((b"authorization", b"Bearer " + SECRET), "authorization"),
        ((b"authorization", b"bearer   " + SECRET + b" "), "authorization"),
        ((b"x-api-key", SECRET), "x-api-key"),
    ],
)
def test_a_key_of_ours_is_found_where_clients_can_put_it(header: tuple[bytes, bytes], presented_in: str) -> None:
    principal = identify((b"host", b"h"), header)
    assert principal == gate.Principal("team:1", "7c0e", "laptop", "core", presented_in=presented_in)  # type: ignore[arg-type]


def test_our_header_goes_before_the_providers_place() -> None:
    principal = identify(
        (b"authorization", b"Bearer sk-1"), (b"x-headroom-key", SECRET), (b"x-headroom-user-id", b" Ann\x00 ")
    )
    assert (principal.presented_in, principal.user_label) == ("x-headroom-key", "Ann")
    assert len(principal.credential_fingerprint) == 16
    with pytest.raises(gate.UnknownKey):
        identify((b"authorization", b"Bearer " + SECRET), (b"x-headroom-key", OTHER))


def test_fingerprints_tell_credentials_apart_and_do_not_show_them() -> None:
    def fingerprint(*headers: tuple[bytes, bytes]) -> str:
        return identify(*headers, require_key=False).credential_fingerprint

    one = fingerprint((b"x-api-key", b"sk-ant-1"))
    assert one == fingerprint((b"authorization", b"Bearer sk-ant-1"))
    assert one != fingerprint((b"x-api-key", b"sk-ant-2"))
    assert one != hashlib.sha256(b"sk-ant-1").hexdigest()[:16]
    secret = hashlib.sha256(b"headroom credential fingerprint" + settings.SECRET_KEY.encode()).digest()
    assert one == hmac.digest(secret, b"sk-ant-1", "sha256").hex()[:16]  # as older versions made it: limits go by it
    assert fingerprint() == ""
    # Our own key is not the provider's credential; beside it there may be one.
    assert fingerprint((b"authorization", b"Bearer " + SECRET)) == ""
    assert fingerprint((b"authorization", b"Bearer " + SECRET), (b"x-api-key", b"sk-ant-1")) == one


@pytest.mark.parametrize(
    ("peer", "owner"),
    [
        ("127.0.0.1", "local"),
        ("127.8.8.8", "local"),
        ("::1", "local"),
        ("::ffff:127.0.0.1", "local"),
        ("10.0.0.7", "peer:10.0.0.7"),
        ("::ffff:10.0.0.7", "peer:10.0.0.7"),
        ("fe80::1%eth0", "peer:fe80::1"),
        ("", "peer:unknown"),
        ("localhost.evil.example", "peer:localhost.evil.example"),
    ],
)
def test_without_a_key_the_address_is_the_owner(peer: str, owner: str) -> None:
    principal = identify((b"authorization", b"Bearer sk-1"), peer=peer, require_key=False)
    assert (principal.owner, principal.key_id, principal.presented_in) == (owner, "", "")


def test_a_required_key_that_is_missing_is_said_so() -> None:
    with pytest.raises(gate.MissingKey, match="x-headroom-key"):
        identify((b"authorization", b"Bearer sk-ant-1"), (b"x-headroom-key", b""))


@pytest.mark.parametrize("require_key", [True, False])
@pytest.mark.parametrize(
    ("header", "value"),
    [
        (b"x-headroom-key", OTHER),
        (b"x-headroom-key", b"sk-ant-1"),
        (b"x-headroom-key", SECRET + b"x"),
        (b"x-headroom-key", SECRET[:-1]),
        (b"x-headroom-key", SECRET.upper()),
        (b"x-headroom-key", b"\xff" * 100_000),
        (b"authorization", b"Bearer hr_"),
        (b"x-api-key", b"hr_nobody"),
    ],
)
def test_a_wrong_key_is_refused_even_where_none_is_needed(header: bytes, value: bytes, require_key: bool) -> None:
    with pytest.raises(gate.UnknownKey) as refusal:
        identify((header, value), require_key=require_key)
    assert value[3:].decode("latin-1") not in str(refusal.value) or len(value) <= 3
    assert refusal.value.presented_in == header.decode()


def test_no_answer_tells_which_keys_there_are() -> None:
    texts = set()
    for guess in (SECRET[:-1] + b"x", b"hr_" + b"z" * 40, SECRET + b"0", SECRET[:12]):
        with pytest.raises(gate.UnknownKey) as refusal:
            identify((b"x-api-key", guess), keys=make_snapshot(make_key(revoked_at_s=NOW, expires_at_s=NOW)))
        texts.add(str(refusal.value))
    assert len(texts) == 1, "a revoked key says so to nobody who does not have all of it"


class NeverCompared(bytes):
    """A digest that may only be compared in a time that does not depend on how much of it was guessed."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise AssertionError("a digest was compared with ==, which stops at the first difference")


def test_comparing_takes_as_long_however_much_was_guessed() -> None:
    keys = make_snapshot(make_key(secret_sha256=NeverCompared(hashlib.sha256(SECRET).digest())))
    assert identify((b"x-api-key", SECRET), keys=keys).key_id == "7c0e"
    with pytest.raises(gate.UnknownKey):
        identify((b"x-api-key", SECRET[:-1] + b"x"), keys=keys)


def test_two_different_keys_in_our_header_are_one_too_many() -> None:
    with pytest.raises(gate.UnknownKey):
        identify((b"x-headroom-key", OTHER), (b"x-headroom-key", SECRET))
    with pytest.raises(gate.UnknownKey):
        identify((b"x-headroom-key", SECRET), (b"x-headroom-key", OTHER))


def test_revoked_and_expired_keys_say_which_they_are_but_not_their_secret() -> None:
    with pytest.raises(gate.RevokedKey, match="laptop") as revoked:
        identify((b"x-api-key", SECRET), keys=make_snapshot(make_key(revoked_at_s=NOW + 9)))
    with pytest.raises(gate.ExpiredKey, match="laptop") as expired:
        identify((b"x-api-key", SECRET), keys=make_snapshot(make_key(expires_at_s=NOW)))
    assert SECRET.decode() not in str(revoked.value) + str(expired.value)
    assert identify((b"x-api-key", SECRET), keys=make_snapshot(make_key(expires_at_s=NOW + 0.1))).key_id == "7c0e"


def test_keys_that_share_a_prefix_are_told_apart() -> None:
    keys = make_snapshot(make_key(OTHER, id="other"), make_key())
    assert identify((b"x-api-key", SECRET), keys=keys).key_id == "7c0e"
    assert identify((b"x-api-key", OTHER), keys=keys).key_id == "other"


def test_before_the_keys_were_read_nobody_can_judge_one() -> None:
    with pytest.raises(gate.KeysNotLoaded):
        identify((b"x-api-key", SECRET), keys=Snapshot())
    assert identify(require_key=False, keys=Snapshot()).owner == "local"


def test_a_key_elsewhere_does_not_count() -> None:
    for header in (
        (b"cookie", b"x-headroom-key=" + SECRET),
        (b"authorization", b"Basic " + SECRET),
        (b"referer", SECRET),
    ):
        with pytest.raises(gate.MissingKey):
            identify(header)


def test_identifying_touches_no_database() -> None:
    # This test has no database, so that pytest-django refuses any query, the process's own snapshot included.
    with pytest.raises((gate.KeysNotLoaded, gate.UnknownKey)):
        gate.identify([(b"x-headroom-key", SECRET)], peer="127.0.0.1", require_key=False)
    for _ in range(100):
        assert identify((b"x-headroom-key", SECRET)).team == "core"
