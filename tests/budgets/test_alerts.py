from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from budgets import alerts, balances, periods, webhook
from budgets.alert_models import Alert
from headroom_site.cli import main
from headroom_site.watch import Watch
from savings.journal import Journal
from savings.pricing import PriceBook
from tests.budgets.builders import NOON, USD, account, book, make_budget, priced
from tests.savings.receipts import make_admission

SECRET = "whsec_" + base64.b64encode(b"of the house").decode()


class Receiver:
    """A webhook's receiving end on a real port: remembers what came, and answers as told."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.heard.append(({key.lower(): value for key, value in self.headers.items()}, body))
                self.send_response(outer.answers.pop(0) if outer.answers else 204)
                self.send_header("location", "/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(60)
        self._server.server_close()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.heard]


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    one = Receiver()
    settings.ALERT_WEBHOOK_URL, settings.ALERT_WEBHOOK_SECRET = one.url, SECRET
    yield one
    one.close()


def spend(usd: float) -> None:
    budget = make_budget(10)
    balances.open_period(budget.pk, periods.containing("daily", "UTC", NOON))
    book(balances.post, priced(int(usd * USD)))


@pytest.mark.usefixtures("database")
def test_a_threshold_is_stored_with_the_money_and_delivered_signed(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    spend(8.5)
    assert "has reached 80 %" in caplog.text
    assert alerts.deliver_due(timezone.now()) == 1
    assert alerts.deliver_due(timezone.now()) == 0
    ((headers, body),) = receiver.heard
    event = json.loads(body)
    assert (event["type"], event["data"]["percent"], event["data"]["spent_usd"]) == ("budget.threshold", 80, 8.5)
    assert event["id"] == headers["webhook-id"] == str(Alert.objects.get().pk)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(b"of the house", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(headers["webhook-timestamp"]) - timezone.now().timestamp()) < 60


@pytest.mark.django_db(transaction=True)
def test_each_threshold_is_said_once_in_a_period() -> None:
    spend(8.5)
    for _ in range(5):
        book(balances.post, priced(USD))
    assert [alert.details["percent"] for alert in alerts.recent()] == [100, 80]


@pytest.mark.django_db(transaction=True)
def test_a_threshold_is_said_again_once_it_is_reset() -> None:
    budget = make_budget(10, "total")
    balances.open_period(budget.pk, periods.containing("total", "UTC", NOON))
    book(balances.post, priced(8 * USD))
    done = CliRunner().invoke(main, ["alerts", "reset", str(budget.pk)])
    assert (done.exit_code, account(budget).alerted_percent) == (0, 0), done.output
    book(balances.post, priced(1))
    assert [alert.details["percent"] for alert in alerts.recent()] == [80, 80]
    assert CliRunner().invoke(main, ["alerts", "reset", "0"]).output == "Error: no budget in force has the id 0\n"


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_not_said() -> None:
    def post(entries: Any) -> None:
        balances.post(entries)
        raise OperationalError("at the last moment")

    budget = make_budget(10)
    balances.open_period(budget.pk, periods.containing("daily", "UTC", NOON))
    with pytest.raises(OperationalError):
        book(post, priced(9 * USD))
    assert not Alert.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_it_is_sent_again_with_the_same_id_until_it_is_taken(receiver: Receiver) -> None:
    receiver.answers = [500, 302]
    spend(8.5)
    now = timezone.now()
    delivered = []
    for minutes in (0, 0, 0.2, 0.3, 1, 2, 5):
        delivered.append(alerts.deliver_due(now + timedelta(minutes=minutes)))
    assert sum(delivered) == 1 and delivered[0] == 0
    assert len(receiver.heard) == 3, "a redirect was followed, or it did not wait"
    assert len({event["id"] for event in receiver.events}) == 1
    stored = Alert.objects.get()
    assert (stored.attempts, stored.problem, stored.next_attempt_at) == (2, "", None)


@pytest.mark.django_db(transaction=True)
def test_after_days_it_is_given_up_and_kept(receiver: Receiver) -> None:
    receiver.answers = [500] * 9
    spend(8.5)
    alerts.deliver_due(timezone.now() + timedelta(days=4))
    stored = Alert.objects.get()
    assert (stored.delivered_at, stored.next_attempt_at, stored.problem) == (None, None, "the webhook answered 500")


@pytest.mark.django_db(transaction=True)
def test_nobody_listening_is_a_problem_and_no_error(settings: Any) -> None:
    assert webhook.post("http://127.0.0.1:9/", "s", "1", {}, at_s=1).startswith("the webhook does not answer")


@pytest.mark.django_db(transaction=True)
def test_without_a_webhook_nothing_waits() -> None:
    spend(8.5)
    assert Alert.objects.get().next_attempt_at is None
    assert alerts.deliver_due(timezone.now()) == 0


@pytest.mark.usefixtures("database")
def test_two_processes_send_each_event_once(receiver: Receiver) -> None:
    for number in range(10):
        alerts.store(alerts.event("test", str(number)))
    now = timezone.now()

    def deliver(_: int) -> int:
        try:
            return alerts.deliver_due(now)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(deliver, range(4))) == 10
    assert len(receiver.heard) == 10


@pytest.mark.usefixtures("database")
def test_a_model_without_a_price_is_said_once_a_day_and_not_where_only_counts_are_missing() -> None:
    unpriced = alerts.Unpriced(PriceBook())
    day = 86_400
    book(unpriced.post, priced(None, model="claude-sonnet-4-5"))
    assert not Alert.objects.exists(), "that model has a price; its counts were missing"

    def call(at_s: float) -> Any:
        entry = priced(None, model="one\x00of\nours", admitted_at=at_s)
        object.__setattr__(entry.receipt.settlement, "model", "")
        return entry

    with pytest.raises(OperationalError), transaction.atomic():
        unpriced.post([call(NOON)])
        raise OperationalError("at the last moment")
    book(unpriced.post, call(NOON), call(NOON))
    book(alerts.Unpriced(PriceBook()).post, call(NOON + 1), call(NOON + day))
    assert [alert.kind for alert in alerts.recent()] == ["model.unpriced"] * 2
    assert alerts.recent()[0].details["model"] == "oneofours"


@pytest.mark.django_db(transaction=True)
def test_differences_of_an_audit_are_said_once_a_day() -> None:
    now = timezone.now()
    for _ in range(2):
        alerts.audit_differs(["spent is 1, its parts sum up to 2"] * 30, now)
    assert Alert.objects.get().details["found"] == 30
    assert len(Alert.objects.get().details["lines"]) == 20


@pytest.mark.django_db(transaction=True)
def test_a_journal_that_fills_up_while_the_database_is_away_is_said_all_the_same(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path / "j" / "w1", max_bytes=4000)
    watch = Watch(journal)
    watch.look()
    for _ in range(5):
        journal.admit(make_admission())
    with monkeypatch.context() as patched:
        patched.setattr(Alert.objects, "bulk_create", _away)
        watch.look()
        watch.look()
    assert [event["type"] for event in receiver.events] == ["journal.half_full"]
    watch.look()
    stored = Alert.objects.get()
    assert stored.delivered_at is not None and str(stored.pk) == receiver.events[0]["id"]
    assert len(receiver.heard) == 1
    assert [record.levelno for record in caplog.records if "wait for the database" in record.message][
        0
    ] == logging.ERROR
    journal.close()


def _away(*_: object, **__: object) -> None:
    raise OperationalError("the server is gone")


@pytest.mark.django_db(transaction=True)
def test_old_events_are_forgotten() -> None:
    alerts.store(alerts.event("test", "x"))
    assert alerts.prune(timezone.now()) == 0
    assert alerts.prune(timezone.now() + timedelta(days=91)) == 1
