from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from budgets import gate, keys, snapshot
from budgets.gate import Principal
from budgets.keys import Permissions


def identify(secret: str, at_s: float | None = None) -> Principal:
    headers = [(b"x-headroom-key", secret.encode())]
    return gate.identify(headers, peer="", require_key=True, keys=snapshot.load(), now_s=at_s)


def check(permissions: Permissions, **fields: str) -> None:
    call = {
        "route": "/v1/messages",
        "path": "/v1/messages",
        "model": "claude-sonnet-5",
        "upstream": "https://api.anthropic.com",
        "provider": "anthropic",
    }
    gate.check(Principal("o", "k", "laptop", permissions=permissions), **{**call, **fields})


@pytest.mark.parametrize(
    ("permissions", "may"),
    [
        (Permissions(), True),
        (Permissions(models=("claude-*",)), True),
        (Permissions(models=("gpt-*", "claude-sonnet-5")), True),
        (Permissions(models=("claude-sonnet",)), False),
        (Permissions(routes=("/v1/messages",)), True),
        (Permissions(routes=("/v1/embeddings",)), False),
        (Permissions(upstreams=("anthropic",)), True),
        (Permissions(upstreams=("https://api.anthropic.com",)), True),
        (Permissions(upstreams=("openai",)), False),
    ],
)
def test_a_key_is_for_what_it_says(permissions, may) -> None:
    if may:
        check(permissions)
    else:
        with pytest.raises(gate.NotPermitted, match="key laptop is only for"):
            check(permissions)


def test_a_path_that_is_not_read_has_no_model_to_permit() -> None:
    with pytest.raises(gate.NotPermitted):
        check(Permissions(models=("claude-*",)), route="*", path="/v1/batches", model="")
    check(Permissions(routes=("/v1/batches",)), route="*", path="/v1/batches", model="")


@pytest.mark.usefixtures("database")
def test_both_secrets_work_while_they_overlap_and_then_only_the_new_one() -> None:
    key, old = keys.create("laptop", permissions=Permissions(models=("m",), requests_per_minute=7))
    _, new = keys.rotate("laptop", overlap=timedelta(hours=1))
    now_s = timezone.now().timestamp()
    assert identify(old, now_s + 3590) == identify(new, now_s)
    assert identify(new).permissions == Permissions(models=("m",), requests_per_minute=7)
    assert identify(new).key_id == str(key.pk)
    with pytest.raises(gate.ExpiredKey):
        identify(old, now_s + 3605)
    _, newest = keys.rotate("laptop", overlap=timedelta(0))
    for stale in (old, new):
        with pytest.raises(gate.Refused):
            identify(stale)
    assert identify(newest).key_id == str(key.pk)


@pytest.mark.usefixtures("database")
def test_revoking_stops_both_secrets_and_a_revoked_key_is_not_rotated() -> None:
    _, old = keys.create("laptop")
    _, new = keys.rotate("laptop")
    keys.revoke("laptop")
    for secret in (old, new):
        with pytest.raises(gate.RevokedKey):
            identify(secret)
    with pytest.raises(keys.NoSuchKey):
        keys.rotate("laptop")


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    "permissions",
    [
        Permissions(models=("",)),
        Permissions(models=("a\x00",)),
        Permissions(routes=("v1/messages",)),
        Permissions(models=("x",) * 51),
        Permissions(requests_per_minute=-1),
        Permissions(tokens_per_minute=2**31),
    ],
)
def test_permissions_that_cannot_be_meant_are_refused(permissions) -> None:
    with pytest.raises(keys.BadPermission):
        keys.create("a", permissions=permissions)
    keys.create("b")
    with pytest.raises(keys.BadPermission):
        keys.permit("b", permissions)
