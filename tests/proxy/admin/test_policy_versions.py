"""The admin's page of policy versions: evidence is shown, owners decide, nobody else sees it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.test import Client

from budgets.models import Change
from proxy.learning import cycle, versions
from proxy.models import PolicyVersion
from tests.budgets.pages import do, logged_in, make_team
from tests.proxy.learning.test_versions import shorten

pytestmark = pytest.mark.django_db
LIST = "/admin/proxy/policyversion/"


@pytest.fixture
def first() -> PolicyVersion:
    """The built-in version. A test that empties the tables takes it away for all that follow in its process."""
    now = datetime.now(UTC)
    usual = {"state": "adopted", "created_at": now, "decided_at": now, "decided_by": "built in"}
    return PolicyVersion.objects.get_or_create(pk=1, defaults=usual)[0]


@pytest.fixture
def proposed(first: PolicyVersion) -> PolicyVersion:
    shorten(30, tool="<b>Bash", asked=20)
    made = cycle.run(datetime.now(UTC))
    assert made is not None
    return made


def act(client: Client, action: str, version: PolicyVersion) -> str:
    return str(do(client, "policyversion", action, version, app="proxy").content.decode())


def test_a_proposal_shows_what_speaks_for_it(proposed: PolicyVersion) -> None:
    owner = logged_in()
    listed = owner.get(LIST).content.decode()
    assert "20 of 30 wanted back, 67%; 95 % interval 49% to 81%" in listed
    assert "&lt;b&gt;Bash" in listed and "<b>Bash" not in listed, "names of tools come from clients"
    assert "<td>20 (67 %, 49 to 81)</td><td>–</td><td>search 20</td>" in listed
    shown = owner.get(f"{LIST}{proposed.pk}/change/").content.decode()
    for words in ("20 wanted back", "<td>67%</td>", "49% to 81%", "search 20", "2,700 tokens", "Decline"):
        assert words in shown, words
    assert 'name="_save"' not in shown


def test_an_owner_adopts_declines_and_goes_back(first: PolicyVersion, proposed: PolicyVersion) -> None:
    owner = logged_in(name="olga")
    asked = owner.post(LIST, {"action": "adopt", "_selected_action": str(proposed.pk)})
    assert b"no byte that was sent changes" in asked.content and versions.in_force() == first
    act(owner, "adopt", proposed)
    assert versions.in_force() == proposed
    assert "only a proposal can be declined" in act(owner, "decline", proposed)
    act(owner, "adopt", first)
    assert versions.in_force() == first
    assert Change.objects.filter(actor="olga", action="adopted", kind="policy version").count() == 2


def test_a_page_offers_what_can_be_done(first: PolicyVersion, proposed: PolicyVersion) -> None:
    owner = logged_in()

    def offered(version: PolicyVersion) -> list[str]:
        shown = owner.get(f"{LIST}{version.pk}/change/").content.decode()
        return [name for name in ("adopt", "decline") if f'name="action" value="{name}"' in shown]

    assert (offered(first), offered(proposed)) == ([], ["adopt", "decline"])
    act(owner, "adopt", proposed)
    assert (offered(first), offered(proposed)) == (["adopt"], [])
    PolicyVersion.objects.filter(pk=proposed.pk).update(state="superseded")
    assert offered(proposed) == []
    PolicyVersion.objects.filter(pk=proposed.pk).update(state="declined")
    assert offered(proposed) == ["adopt"]


@pytest.mark.parametrize("role", ["manager", "viewer"])
def test_nobody_else_sees_or_decides(role: str, first: PolicyVersion, proposed: PolicyVersion) -> None:
    other = logged_in(role, make_team("search"))
    assert other.get(LIST).status_code == 403
    assert other.get(f"{LIST}{proposed.pk}/change/").status_code in (403, 404)
    assert do(other, "policyversion", "adopt", proposed, app="proxy").status_code == 403
    assert versions.in_force() == first
    assert b"policy versions" not in other.get("/admin/").content.lower()
    assert Client().get(LIST).status_code == 302
