from __future__ import annotations

import pytest
from django.contrib.auth.models import User

pytestmark = pytest.mark.django_db
PAGES = ["", "/lifetime", "/history", "/requests", "/requests.csv", "/cache", "/keys"]


@pytest.mark.parametrize("page", PAGES)
def test_at_home_no_login_is_asked_for(client, page):
    assert client.get(f"/dashboard{page}").status_code == 200


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("lines", [{"REMOTE_ADDR": "192.0.2.7"}, {"HTTP_X_FORWARDED_FOR": "192.0.2.7"}])
def test_from_elsewhere_it_is(client, page, lines):
    answer = client.get(f"/dashboard{page}", **lines)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/login?next=/dashboard")


def test_nobody_is_at_home_on_a_public_address(client, settings):
    settings.IS_LOOPBACK = False
    assert client.get("/dashboard").status_code == 302


def test_who_is_in_no_team_sees_no_figures(client):
    client.force_login(User.objects.create_user("stranger"))
    assert client.get("/dashboard").status_code == 403


def test_the_owner_sees_everything(client):
    client.force_login(User.objects.create_superuser("owner"))
    assert client.get("/dashboard", REMOTE_ADDR="192.0.2.7").status_code == 200


@pytest.mark.parametrize("series", ["hourly", "daily", "weekly", "monthly", "nonsense"])
def test_every_series_opens(client, series):
    assert client.get(f"/dashboard/history?series={series}").status_code == 200
