"""`headroom patterns` as people use it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from headroom_site.cli import main
from proxy.learning.models import PolicyVersion
from tests.proxy.learning.test_versions import shorten

pytestmark = pytest.mark.usefixtures("road_database")


def patterns(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["patterns", *arguments])


def test_patterns_are_shown_and_a_proposal_is_adopted() -> None:
    assert "nothing was shortened" in patterns().stdout
    shorten(30, asked=20)
    shown = patterns().stdout
    assert "Bash log (balanced): 30 sent, 2,700 tokens shorter, 20 wanted back (67%) [search 20]" in shown
    number = PolicyVersion.objects.get(state="proposed").pk
    assert f"version {number}: proposed\n  Bash: no log at level balanced, but one that is whole (20 of 30" in shown
    found = json.loads(patterns("--json").stdout)
    assert found["patterns"][0]["asked_share"] == 0.6667
    assert [row["standing"] for row in found["policy_versions"]] == ["proposed", "in force"]

    assert "is in force" in patterns("adopt", str(number)).stdout
    assert f"version {number}: in force" in patterns().stdout
    refused = patterns("decline", str(number))
    assert refused.exit_code == 1 and "only a proposal can be declined" in refused.stderr
    assert patterns("adopt", "999").exit_code == 1
