"""Pages: what Django's own handler serves, with its middleware."""

from __future__ import annotations

from django.contrib.auth import views as auth
from django.urls import path

from savings import pages

urlpatterns = [
    path("dashboard", pages.dashboard, name="dashboard"),
    path("login", auth.LoginView.as_view(template_name="login.html"), name="login"),
    path("logout", auth.LogoutView.as_view(), name="logout"),
]
