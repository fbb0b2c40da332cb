"""Property tests without a clock: the vocabulary is read once, and a busy machine is no finding."""

from __future__ import annotations

import pytest
from hypothesis import settings

from headroom import tokens
from tests.examples import examples

settings.register_profile("engine", examples(100))
settings.load_profile("engine")


@pytest.fixture(scope="session", autouse=True)
def vocabulary() -> None:
    tokens.load()
