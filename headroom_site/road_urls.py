"""The road: what the slim handler serves."""

from __future__ import annotations

from django.urls import path

from proxy.routes import api

urlpatterns = [path("", api.urls)]
