from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from savings.observability import prometheus
from savings.pricing import Price, PricedReceipt, Saving
from savings.receipts import Usage
from tests.savings.receipts import make_receipt

ROOT = Path(__file__).resolve().parents[3]


def booked(provider: str, *, cost: int | None = 7, saved: int | None = None, **admission: object) -> PricedReceipt:
    price = Price(cost, "" if cost is None else "test", "")
    receipt = make_receipt({"provider": provider, **admission}, model="")
    return PricedReceipt(receipt, Usage(input_fresh=3, output=2), "measured", price, Saving(saved))


def value(name: str, **labels: str) -> float:
    return sum(
        sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_money_is_counted_in_whole_nano_dollars_and_losses_apart():
    prometheus.record(
        [booked("p1", cost=2**52 - 1, saved=5), booked("p1", cost=1, saved=-3), booked("p1", cost=None, saved=None)]
    )
    assert value("headroom_cost_nano_usd_total", provider="p1") == 2**52
    assert value("headroom_saved_nano_usd_total", provider="p1") == 5
    assert value("headroom_lost_nano_usd_total", provider="p1") == 3
    assert value("headroom_unpriced_calls_total", provider="p1") == 1
    assert value("headroom_billed_tokens_total", provider="p1", token_class="input_fresh") == 9


def test_what_was_only_observed_is_no_saving():
    prometheus.record([booked("p2", saved=5, is_observed=True, tokens_before=100, tokens_after=40)])
    assert value("headroom_saved_nano_usd_total", provider="p2") == 0
    assert value("headroom_tokens_saved_total", provider="p2") == 0
    assert value("headroom_cost_nano_usd_total", provider="p2") == 7
    assert value("headroom_would_save_nano_usd_total", provider="p2") == 5
    prometheus.record([booked("p2", saved=-2, is_observed=True)])
    assert value("headroom_would_lose_nano_usd_total", provider="p2") == 2


def test_strangers_cannot_fill_the_labels():
    prometheus.record([booked("p3", cost=None, model=f"made-up-{n}") for n in range(500)])
    prometheus.record([booked("p3", model=f"listed-{n}") for n in range(500)])
    models = {
        sample.labels["model"]
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.labels.get("provider") == "p3" and "model" in sample.labels
    }
    assert prometheus.OTHER in models
    assert len(models) <= prometheus.MAX_MODELS + 1


WORKER = """
import sys
from savings.observability import prometheus
prometheus.REFUSALS.labels("rate_limited").inc()
prometheus.JOURNAL_SHARE.set(0.5)
if sys.argv[1:]:
    sys.stdout.buffer.write(prometheus.page()[0])
"""
"""A worker that is gone afterwards, and one that is asked for everybody's figures."""


def test_workers_are_summed_and_the_dead_hold_no_gauge(tmp_path):
    def run(*arguments: str) -> str:
        env = {"DJANGO_SETTINGS_MODULE": "headroom_site.settings", "HEADROOM_WORKSPACE_DIR": str(tmp_path)}
        env[prometheus.FOLDER_VARIABLE] = str(tmp_path)
        code = "import django; django.setup()\n" + WORKER
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True).stdout

    run()
    samples = {
        sample.name: sample for family in text_string_to_metric_families(run("page")) for sample in family.samples
    }
    assert samples["headroom_refusals_total"].value == 2
    assert len(list(tmp_path.glob("gauge_livemax_*.db"))) == 1


def test_the_grafana_dashboard_asks_for_series_that_exist():
    asked = set(re.findall(r"headroom_\w+", (ROOT / "docs" / "grafana-dashboard.json").read_text()))
    known = {family.name for family in REGISTRY.collect()}
    suffix = re.compile(r"_(total|bucket)$")
    assert {suffix.sub("", name) for name in asked} <= known
