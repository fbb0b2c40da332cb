"""The admin site: our order of things, our way in."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

SECTIONS = (
    ("Who may", ("ApiKey", "Team", "User")),
    ("How much", ("Budget", "PriceOverride")),
    ("Providers", ("UpstreamCredential",)),
    ("Conversations", ("EpochRecord", "Decision", "PolicyVersion")),
    ("On record", ("LedgerEntry", "Alert", "Change")),
)


class HeadroomAdmin(AdminSite):
    """Everything that can be managed, in the sections that people look for it in."""

    site_title = site_header = "Headroom"
    index_title = "Administration"
    site_url = None
    empty_value_display = "–"

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Our sections instead of Django's applications."""
        found = {
            model["object_name"]: model for app in self._build_app_dict(request).values() for model in app["models"]
        }
        return [
            {"name": title, "app_label": "", "app_url": "", "has_module_perms": True, "models": models}
            for title, names in SECTIONS
            if (models := [found[name] for name in names if name in found])
        ]

    def app_index(self, request: HttpRequest, app_label: str, extra_context: Any = None) -> Any:
        """Django's applications have no pages of their own here."""
        return redirect("admin:index")

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """There is one way in, for all pages."""
        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(request.GET.get("next") or "/admin/")

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """One page for everybody."""
        return redirect("password")

    def logout(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """And one way out."""
        return redirect("/dashboard")


site = HeadroomAdmin(name="admin")
