"""How many further turns epochs count on, and how that is learned."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from headroom.values import Policy
from proxy import policies
from proxy.aging.epochs import Tuning
from proxy.conversations import Conversations
from proxy.learning import cycle, horizon, in_force, versions
from proxy.learning.horizon import Past
from proxy.models import EpochRecord
from proxy.stores import NoStore
from tests.proxy.sessions import long_session
from tests.proxy.test_conversations import played

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _nothing_is_in_force() -> Iterator[None]:
    yield
    in_force.stop()


def past(share: float, count: int = 200) -> list[Past]:
    """Epochs after which about this share of the turns so far followed."""
    rng = random.Random(7)
    return [
        Past(1000, turns := rng.randint(10, 60), round(turns * share * rng.uniform(0.2, 1.8))) for _ in range(count)
    ]


def test_a_share_outside_of_the_interval_is_changed_cautiously() -> None:
    more = horizon.judge(past(0.8), 0.4)
    assert more is not None and 0.4 < more.low < more.seen < more.high
    assert more.share == round(more.low, 2), "as a conversation that ends early is a loss"
    fewer = horizon.judge(past(0.2), 0.4)
    assert fewer is not None and fewer.high < 0.4 and fewer.share == round(fewer.seen, 2)


def test_what_the_past_does_not_contradict_stays() -> None:
    assert horizon.judge(past(0.4), 0.4) is None
    assert horizon.judge(past(0.8, 49), 0.4) is None, "too few"
    assert horizon.judge([Past(0, 10, 90)] * 100, 0.4) is None, "epochs that spared nothing say nothing"
    learned = horizon.judge(past(0.8), 0.4)
    assert learned is not None and horizon.judge(past(0.8), learned.share) is None, "once is enough"


def test_no_evidence_goes_to_extremes() -> None:
    endless, over = horizon.judge([Past(10, 10, 900)] * 60, 0.4), horizon.judge([Past(10, 10, 0)] * 60, 0.4)
    assert endless is not None and endless.share == horizon.MOST
    assert over is not None and over.share == horizon.LEAST


def test_epochs_that_are_worth_more_count_for_more() -> None:
    seen = horizon.judge([Past(9000, 10, 9), Past(1000, 10, 1)] * 30, 0.4)
    assert seen is not None and seen.seen == pytest.approx(0.82)


@pytest.mark.usefixtures("road_database")
def test_a_proposal_says_what_came_of_epochs() -> None:
    values: dict[str, Any] = {"owner": "local", "trigger": "size", "deepened": "", "predicted_cost": 1.0}
    EpochRecord.objects.bulk_create(
        EpochRecord(
            **values,
            chain=str(n),
            turn=one.turns,
            last_turn=one.turns + one.further,
            saved_tokens=one.saved_tokens,
            predicted_gain=1.0,
            created_at=NOW - timedelta(days=1 if n >= 200 else 5),
        )
        for n, one in enumerate(past(0.8) + [Past(10**6, 10, 0)] * 20)
    )
    proposed = cycle.run(NOW)
    assert proposed is not None and proposed.rules == [] and cycle.run(NOW) == proposed
    assert proposed.horizon_evidence["epochs"] == 200, "what may go on is not counted"
    (words,) = versions.in_words(proposed)
    assert words.startswith(
        f"epochs count on {proposed.horizon_share:.0%} of the turns so far to follow (after 200 epochs"
    )
    assert policies.tuned(Tuning(), policies.usual("")) == Tuning()
    versions.adopt(proposed.pk)
    in_force.refresh()
    assert policies.tuned(Tuning(), policies.usual("")).horizon_share == proposed.horizon_share
    assert policies.tuned(Tuning(), Policy(version=1)) == Tuning(), "older conversations keep theirs"
    assert cycle.run(NOW) is None
    versions.adopt(1)
    assert cycle.run(NOW + timedelta(minutes=1)) is None, "what was gone back from needs new evidence"


async def test_the_planner_follows_the_conversations_version(monkeypatch: pytest.MonkeyPatch) -> None:
    known = in_force.InForce(2, {1: frozenset(), 2: frozenset()}, {1: 5.0, 2: -1.0})
    monkeypatch.setattr(in_force, "current", lambda: known)
    bold, shy = [
        await played(Conversations(NoStore()), long_session(), "anthropic", policy=Policy(version=version))
        for version in (1, 2)
    ]
    assert sum(plan.tokens_after for plan in bold) < sum(plan.tokens_after for plan in shy)
