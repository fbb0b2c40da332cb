"""`headroom proxy`: what is said to those who start it."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from headroom_site import server
from headroom_site.cli import main


@pytest.mark.parametrize("flag", ["--llmlingua", "--llmlingua-device=cpu", "--no-llmlingua"])
def test_a_retired_flag_names_what_took_its_place(flag: str) -> None:
    result = CliRunner().invoke(main, ["proxy", flag])
    assert result.exit_code == 2
    assert f"{flag.partition('=')[0]} is retired" in result.output and "HEADROOM_ML_MODEL_DIR" in result.output


@pytest.mark.parametrize("is_required", [True, False])
def test_where_keys_are_required_the_greeting_says_how_to_send_one(settings: Any, is_required: bool) -> None:
    settings.REQUIRE_KEY = is_required
    assert ("x-headroom-key: hr_…" in "\n".join(server._banner_lines())) is is_required
