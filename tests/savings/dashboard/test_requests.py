from __future__ import annotations

import uuid
import zlib
from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.http import QueryDict
from django.utils import timezone

from savings import ledger, rollups
from savings.dashboard import differences, requests
from savings.dashboard.scope import Scope
from savings.models import CallBody, LedgerEntry
from savings.pricing import Price, PricedReceipt, Saving
from savings.receipts import Usage
from tests.savings.receipts import make_receipt

pytestmark = pytest.mark.django_db


def record(count: int = 1, **admission: object) -> Sequence[str]:
    now = timezone.now().timestamp()
    receipts = [make_receipt({"admitted_at": now, **admission}, latency_ms=100.0) for _ in range(count)]
    ledger.record_many(
        [PricedReceipt(receipt, Usage(), "measured", Price(5, "test", ""), Saving(2)) for receipt in receipts]
    )
    return [receipt.admission.call_id for receipt in receipts]


def found(query: str, scope: Scope | None = None) -> list[str]:
    return [str(entry.id) for entry in requests.chosen(requests.read(QueryDict(query)), scope or Scope())]


@pytest.mark.parametrize(
    "field", ["agent", "project", "session", "conversation", "key_label", "status", "reason", "model"]
)
def test_each_filter_finds_its_own(field):
    value = "partial" if field == "status" else "wanted"
    record()
    if field == "status":
        receipt = make_receipt({"admitted_at": timezone.now().timestamp()}, status="partial")
        ledger.record_many([PricedReceipt(receipt, Usage(), "partial", Price(5, "test", ""))])
        mine = [receipt.admission.call_id]
    else:
        mine = list(record(**{field: value}))
    name = {"key_label": "key"}.get(field, field)
    assert found(f"{name}={value}") == mine


def test_a_reason_is_found_with_what_follows_it():
    mine = record(reason="failed:plan")
    record(reason="failed_otherwise")
    assert found("reason=failed") == list(mine)


def test_pages_of_calls_of_one_instant_hold_each_once(client, monkeypatch):
    monkeypatch.setattr(requests, "PAGE_ROWS", 4)
    mine = set(record(10))
    seen: list[str] = []
    address = "/dashboard/requests"
    while address:
        page = client.get(address).context
        seen += [str(row.id) for row in page["rows"]]
        address = f"/dashboard/requests?before={page['older'].replace('+', '%2B')}" if page["older"] else ""
    assert len(seen) == 10
    assert set(seen) == mine


@pytest.mark.parametrize("query", ["day=2026-99-99", "before=x", "before=_", "status=%00", "day=&model=&unknown=1"])
def test_what_means_nothing_is_left_out(client, query):
    record()
    assert client.get(f"/dashboard/requests?{query}").status_code == 200


def test_a_team_sees_its_own_calls_only():
    mine = record(team="mine")
    others = record(team="others")
    assert found("", Scope("mine")) == list(mine)
    assert found(f"session={LedgerEntry.objects.get(pk=others[0]).session}", Scope("mine")) != list(others)


def test_names_from_clients_are_text_on_the_page(client):
    (call,) = record(model="<script>alert(1)</script>", agent='"><img src=x>')
    for address in ("/dashboard/requests", f"/dashboard/requests/{call}"):
        text = client.get(address).content.decode()
        assert "<script>alert" not in text
        assert "<img" not in text


def test_a_call_shows_where_its_time_went(client):
    receipt = make_receipt(latency_ms=200.0, overhead_ms=20.0, ttfb_ms=100.0)
    ledger.record_many([PricedReceipt(receipt, Usage(), "measured", Price(5, "test", ""))])
    page = client.get(f"/dashboard/requests/{receipt.admission.call_id}")
    parts = [(part.start, part.width, part.milliseconds) for part in page.context["waterfall"]]
    assert parts == [(0.0, 10.0, 20.0), (10.0, 50.0, 100.0), (60.0, 40.0, 80.0)]
    assert "are not kept" in page.content.decode()


def test_kept_text_is_compared_line_by_line(client):
    (call,) = record()
    CallBody.objects.create(
        call_id=call,
        asked=zlib.compress(b'{"messages":[{"content":"a\\nb\\nc"}]}'),
        sent=zlib.compress(b'{"messages":[{"content":"a\\n[1 line]\\nc"}]}'),
        answered=zlib.compress(b"done"),
    )
    (change,) = client.get(f"/dashboard/requests/{call}").context["bodies"]["changes"]
    assert change.where == "messages[0].content"
    assert [line for line in change.lines if line[0] in "-+"] == [("-", "b"), ("+", "[1 line]")]


def test_no_call_of_that_name_is_not_found(client):
    assert client.get(f"/dashboard/requests/{uuid.uuid4()}").status_code == 404


def test_huge_texts_are_shown_without_being_compared():
    before, after = b'{"a":"%s"}' % (b"x\\n" * 100_000), b'{"a":"%s"}' % (b"y\\n" * 100_000)
    (change,) = differences.changes(before, after)
    assert change.is_cut
    assert len(change.lines) <= differences.MAX_LINES


def test_old_calls_are_found_with_and_without_their_day():
    then = timezone.now() - timedelta(days=90)
    mine = record(admitted_at=then.timestamp(), agent="a")
    assert found("agent=a") == found(f"agent=a&day={then.date()}") == list(mine)
    assert found(f"agent=a&day={timezone.now().date()}") == []


@pytest.mark.parametrize("is_rolled", [True, False])
def test_a_rare_value_is_found_a_few_calls_at_a_time(client, monkeypatch, is_rolled):
    monkeypatch.setattr(requests, "LOOKED_AT", 5)
    now = timezone.now()
    mine = record(2, agent="rare", admitted_at=(now - timedelta(days=9)).timestamp())
    for days in range(8):
        record(4, agent="usual", admitted_at=(now - timedelta(days=days)).timestamp())
    if is_rolled:
        rollups.roll()
    steps, seen, address = 0, [], "/dashboard/requests?agent=rare"
    while address:
        page = client.get(address)
        seen += [str(row.id) for row in page.context["rows"]]
        older = page.context["older"]
        assert ("Look further back" in page.content.decode()) == bool(older)
        address = f"/dashboard/requests?agent=rare&before={older.replace('+', '%2B')}" if older else ""
        steps += 1
    assert sorted(seen) == sorted(mine)
    assert steps == 2 if is_rolled else steps > 3


def test_what_never_was_needs_one_look(client, monkeypatch):
    monkeypatch.setattr(requests, "LOOKED_AT", 5)
    for days in range(2, 8):
        record(4, admitted_at=(timezone.now() - timedelta(days=days)).timestamp())
    rollups.roll()
    page = client.get("/dashboard/requests?project=never")
    assert "No call matches among these" in page.content.decode()
    assert page.context["older"] == ""
