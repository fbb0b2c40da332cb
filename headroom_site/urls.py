"""Pages: what Django's own handler serves, with its middleware."""

from __future__ import annotations

from django.urls import path
from django.views.generic import RedirectView

from budgets import login
from budgets import pages as budget_pages
from budgets.admin import alerts, changes, credentials, keys, ledger, people, prices, teams
from budgets.admin.site import site
from budgets.api import api
from headroom_site.page_access import for_readers
from proxy import pages as cache_pages
from proxy.admin import decisions, epochs, policy_versions
from savings.dashboard import pages, requests, session

ADMIN = (alerts, changes, credentials, decisions, epochs, keys, ledger, people, policy_versions, prices, teams)
"""Modules that put their rows into the admin by being imported."""

urlpatterns = [
    path("dashboard", for_readers(session.page), name="dashboard"),
    path("dashboard/lifetime", for_readers(pages.lifetime), name="dashboard-lifetime"),
    path("dashboard/history", for_readers(pages.history), name="dashboard-history"),
    path("dashboard/requests", for_readers(requests.newest), name="dashboard-requests"),
    path("dashboard/requests.csv", for_readers(requests.export), name="dashboard-requests-csv"),
    path("dashboard/requests/<uuid:call_id>", for_readers(requests.one), name="dashboard-request"),
    path("dashboard/cache", for_readers(cache_pages.cache_health), name="dashboard-cache"),
    path("dashboard/cache/<str:name>", for_readers(cache_pages.conversation), name="dashboard-conversation"),
    path("dashboard/keys", for_readers(budget_pages.keys_and_budgets), name="dashboard-keys"),
    # Browsers ask for it unasked; it is not a provider's.
    path("favicon.ico", RedirectView.as_view(url="/static/headroom/mark.svg", permanent=True)),
    path("login", login.with_password, name="login"),
    path("login/password", login.password, name="password"),
    path("login/once", login.with_link, name="login_link"),
    path("logout", login.log_out, name="logout"),
    path("admin/api/", api.urls),
    path("admin/", site.urls),
]
