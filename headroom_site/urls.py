"""Pages: what Django's own handler serves, with its middleware."""

from __future__ import annotations

from django.urls import path

from savings import pages

urlpatterns = [path("dashboard", pages.dashboard, name="dashboard")]
