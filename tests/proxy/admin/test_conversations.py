"""What the admin shows of epochs and decisions: figures for owners, texts for nobody."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from proxy import decisions
from proxy.admin.epochs import REALISED
from proxy.decisions import Batch
from proxy.models import Decision, EpochRecord
from tests.budgets.pages import logged_in, make_entry, make_team
from tests.proxy.requests import make_decided, make_result

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)
EPOCHS, DECISIONS = "/admin/proxy/epochrecord/", "/admin/proxy/decision/"


def make_epoch(chain: str, **fields: Any) -> EpochRecord:
    values: dict[str, Any] = {
        "owner": "local",
        "trigger": "size",
        "turn": 10,
        "last_turn": 30,
        "deepened": "a b c",
        "saved_tokens": 5000,
        "predicted_cost": 4000.0,
        "predicted_gain": 6000.0,
        "created_at": NOW,
    }
    return EpochRecord.objects.create(chain=chain, **(values | fields))


def rows(page: Any) -> list[str]:
    assert page.status_code == 200
    body = page.content.decode().partition("<tbody>")[2].partition("</tbody>")[0]
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in body.split("</tr>") if "<t" in row]


def test_epochs_show_what_was_expected_and_what_came_of_it() -> None:
    make_epoch("paid")
    make_epoch("early", last_turn=12, trigger="cold", owner="team:7", created_at=NOW - timedelta(days=3))
    owner = logged_in()
    first, second = rows(owner.get(EPOCHS))
    assert re.search(r"– 4,000 6,000 10,000 has paid size 20 5,000$", first)
    assert re.search(r"– 4,000 6,000 1,000 not yet cold 2 5,000$", second)
    sums = owner.get(EPOCHS).content.decode()
    assert "2 epochs: predicted cost 8,000, predicted gain 12,000, realised gain 11,000" in sums
    for query, found in (
        ("trigger=cold", second),
        ("outcome=paid", first),
        ("outcome=not", second),
        ("owner=team:7", second),
        (f"day={NOW - timedelta(days=3):%Y-%m-%d}", second),
    ):
        assert rows(owner.get(f"{EPOCHS}?{query}")) == [found], query


def test_the_sum_in_the_database_is_that_of_the_rows() -> None:
    for n, last_turn in enumerate((5, 10, 11, 400)):
        make_epoch(str(n), last_turn=last_turn, read_share=0.1 * (n + 1), saved_tokens=(-1) ** n * 1234)
    for epoch in EpochRecord.objects.annotate(sum=REALISED):
        assert epoch.sum == pytest.approx(epoch.realised_gain)


def test_decisions_show_sizes_and_reasons_and_no_text() -> None:
    made = {
        "a" * 32: make_decided("a form with SECRET in it", level="balanced", policy_version=3),
        "b" * 32: make_decided(None, label="", reason="no_gain", level="whole"),
    }
    decisions.store(Batch("local", made, dict.fromkeys(made, make_result("SECRET"))), NOW, timedelta(hours=48))
    owner = logged_in()
    listed = owner.get(DECISIONS)
    assert sorted(row.split(maxsplit=3)[3].rsplit(maxsplit=2)[0] for row in rows(listed)) == [
        "as it came whole 100 10 no_gain 1",
        "log balanced 100 10 – 3",
    ]
    assert len(rows(owner.get(f"{DECISIONS}?level=whole"))) == 1
    assert len(rows(owner.get(f"{DECISIONS}?q={'a' * 32}"))) == 1
    shown = owner.get(f"{DECISIONS}{'a' * 32}/change/")
    assert shown.status_code == 200
    assert b"SECRET" not in listed.content + shown.content


def test_epochs_and_decisions_lead_to_their_conversation_and_it_leads_back() -> None:
    make_entry(conversation="first")
    make_epoch("one", conversation="first")
    make_epoch("another", conversation="second")
    for conversation in ("first", "second"):
        made = {conversation: make_decided()}
        batch = Batch("local", made, {conversation: make_result()}, conversation)
        decisions.store(batch, NOW, timedelta(hours=48))
    owner = logged_in()
    page = owner.get("/dashboard/cache/first").content.decode()
    for path in (EPOCHS, DECISIONS):
        assert f'href="{path}?conversation=first"' in page
        assert len(rows(owner.get(path))) == 2
        (row,) = rows(owner.get(f"{path}?conversation=first"))
        assert row.split()[2] == "first"
        assert 'href="/dashboard/cache/first"' in owner.get(path).content.decode()
    assert owner.get("/dashboard/cache").content.decode().count('href="/dashboard/cache/first"') == 2
    viewer = logged_in("viewer", make_team("theirs"))
    make_entry(conversation="third", team="theirs")
    assert EPOCHS not in viewer.get("/dashboard/cache/third").content.decode()


@pytest.mark.parametrize("path", [EPOCHS, DECISIONS])
def test_they_are_read_only_and_for_owners(path: str) -> None:
    epoch = make_epoch("one")
    decisions.store(Batch("local", {"a" * 32: make_decided()}, {"a" * 32: make_result()}), NOW, timedelta(hours=48))
    row = epoch.pk if path == EPOCHS else "a" * 32
    owner = logged_in()
    assert owner.get(f"{path}add/").status_code == 403
    assert owner.post(f"{path}{row}/change/", {}).status_code == 403
    assert owner.post(f"{path}{row}/delete/", {"post": "yes"}).status_code == 403
    assert (EpochRecord.objects.count(), Decision.objects.count()) == (1, 1)
    for role in ("manager", "viewer"):
        assert logged_in(role, make_team(role)).get(path).status_code == 403
