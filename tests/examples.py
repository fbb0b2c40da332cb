"""How many examples a property is tried with: enough for every day, always the same ones, so that a run tells about the
change that it is of; and twenty times as many, others each time, with `HEADROOM_TEST_LONG=1`."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

IS_LONG = os.environ.get("HEADROOM_TEST_LONG") == "1"


def examples(count: int) -> settings:
    """So many, or twenty times as many. How long one takes on a crowded machine is not what is tested."""
    return settings(
        max_examples=count * 20 if IS_LONG else count,
        derandomize=not IS_LONG,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
