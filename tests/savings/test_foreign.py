from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from savings import foreign, history, live, mirror, rollups, stats
from savings.models import SavingsCheckpoint, Tally
from tests.savings.ledgers import some_entries
from tests.savings.test_tallies import make_counter, record

pytestmark = pytest.mark.usefixtures("emptied")
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def point(timestamp: str, tokens: int, usd: float, spent: float) -> dict[str, Any]:
    return {
        "timestamp": timestamp,
        "provider": "anthropic",
        "model": "claude-x",
        "total_tokens_saved": tokens,
        "compression_savings_usd": usd,
        "total_input_tokens": 10 * tokens,
        "total_input_cost_usd": spent,
        "cache_read_tokens": tokens,
    }


FILE = {
    "schema_version": 3,
    "lifetime": {
        "requests": 40,
        "tokens_saved": 900,
        "compression_savings_usd": 0.9,
        "total_input_tokens": 9000,
        "total_input_cost_usd": 2.5,
    },
    "history": [
        point("2026-02-01T10:59:30Z", 300, 0.3, 1.0),
        point("2026-02-01T10:00:00Z", 100, 0.1, 0.5),
        point("2026-02-02T00:00:00+00:00", 100, 0.1, 0.25),  # begun anew
        {"timestamp": "yesterday"},
        "nothing",
        point("2026-02-02T05:00:00", 900, 0.9, 2.5),
    ],
    "by_model": {"claude-x": {"requests": 30, "tokens_saved": 800}},
}


def test_a_file_is_taken_in_once_and_marked(tmp_path: Path) -> None:
    path = tmp_path / "proxy_savings.json"
    path.write_bytes(orjson.dumps(FILE))
    assert "imported 4 points" in foreign.take_in(path, NOON)
    assert foreign.take_in(path, NOON) == ""
    assert stats.totals().saved_nano_usd == 0
    days = stats.series("daily", with_imported=True)
    assert [(day.starts_at.day, day.figures.tokens_saved, day.figures.saved_nano_usd) for day in days] == [
        (1, 300, 300_000_000),
        (2, 900, 900_000_000),
    ]
    assert [hour.figures.cost_nano_usd for hour in stats.series("hourly", with_imported=True)] == [
        *(1_000_000_000, 250_000_000, 2_250_000_000),
    ]
    lifetime = live.lifetime()
    assert lifetime.figures == lifetime.imported
    assert (lifetime.imported.requests, lifetime.imported.tokens_saved) == (40, 900)
    assert lifetime.by_model["claude-x"].requests == 30
    found = orjson.loads(orjson.dumps(history.document("full", stats.EVER, NOON, with_projects=False)))
    assert [row["total_tokens_saved"] for row in found["history"]] == [100, 300, 100, 900]
    assert all(row["is_imported"] for row in found["history"])
    assert found["series"]["daily"][-1]["is_imported"]


@pytest.mark.parametrize(
    ("content", "ending"),
    [
        (b"{half a fi", "corrupt"),
        (b"[]", "corrupt"),
        (b'{"schema_version": 1, "lifetime": {}}', "older"),
        (b'{"lifetime": {}}', "older"),
    ],
)
def test_what_cannot_be_read_is_kept_aside_and_reported(tmp_path: Path, content: bytes, ending: str) -> None:
    path = tmp_path / "proxy_savings.json"
    path.write_bytes(content)
    report = foreign.take_in(path, NOON)
    aside = tmp_path / f"proxy_savings.json.{ending}-20260304T120000Z"
    assert str(aside) in report
    assert aside.read_bytes() == content
    assert not path.exists()
    assert Tally.objects.count() == SavingsCheckpoint.objects.count() == 0


def test_absurd_numbers_are_not_taken_for_money(tmp_path: Path) -> None:
    path = tmp_path / "proxy_savings.json"
    odd = {"tokens_saved": -5, "compression_savings_usd": "much", "total_input_cost_usd": 1e300, "requests": True}
    path.write_bytes(orjson.dumps({"schema_version": 6, "lifetime": odd, "history": {}, "by_model": [1]}))
    assert "imported 0 points" in foreign.take_in(path, NOON)
    assert live.lifetime().figures.cost_nano_usd == 0


def test_the_mirror_has_the_shape_that_was_read_and_is_never_taken_in(tmp_path: Path) -> None:
    path = tmp_path / "savings.json"
    path.write_bytes(orjson.dumps(FILE))
    foreign.take_in(path, NOON)
    foreign.keep(path)
    record(make_counter(), some_entries(20, [NOON]))
    rollups.roll()
    mirror.Mirror(path).write()
    assert (tmp_path / "savings.json.imported").exists()
    assert path.stat().st_mode & 0o777 == 0o600
    written = orjson.loads(path.read_bytes())
    assert written["lifetime"]["cost_nano_usd"] == stats.totals().cost_nano_usd + 2_500_000_000
    assert set(FILE) <= set(written)
    Tally.objects.all().delete()
    assert foreign.take_in(path, NOON) == ""
    foreign.keep(path)
    assert path.exists()
