"""How many examples a property is tried with: enough for every day, and twenty times as many with `HEADROOM_TEST_LONG=1`."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

IS_LONG = os.environ.get("HEADROOM_TEST_LONG") == "1"


def examples(count: int) -> settings:
    """So many, or twenty times as many. How long one takes on a crowded machine is not what is tested."""
    return settings(
        max_examples=count * 20 if IS_LONG else count, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
