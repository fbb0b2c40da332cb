"""Who may open the dashboard, and whose figures are shown there."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from savings.dashboard.scope import P, Scope, ScopedView

FORWARDED_HEADERS = (b"x-forwarded-for", b"forwarded", b"x-real-ip")


def is_at_home(peer: str, *, is_forwarded: bool) -> bool:
    """Whether somebody sits at this very machine. What another proxy passed on may come from anywhere."""
    try:
        is_loopback = ipaddress.ip_address(peer).is_loopback
    except ValueError:
        is_loopback = peer == ""  # a local socket
    is_for_this_machine = settings.IS_LOOPBACK and not settings.REQUIRE_KEY and not settings.PUBLIC_URL
    return is_for_this_machine and is_loopback and not is_forwarded


def scope_of(user: AbstractBaseUser | AnonymousUser | None, *, is_home: bool) -> Scope | None:
    """Whose figures somebody may see: all, their team's, or none (`None`)."""
    if user is None or not user.is_authenticated:
        return Scope() if is_home else None
    return _rights(user)


def _rights(user: Any) -> Scope | None:
    """Owners see everything, others their team's figures, and who is in no team sees none."""
    if user.is_superuser:
        return Scope()
    membership = getattr(user, "membership", None)
    return None if membership is None else Scope(membership.team.name)


def for_readers(view: ScopedView[P]) -> Callable[..., HttpResponseBase]:
    """A page for whoever may see figures: open at home, else after a login."""

    @wraps(view)
    def page(request: HttpRequest, *arguments: P.args, **named: P.kwargs) -> HttpResponseBase:
        is_forwarded = any(name.decode() in request.headers for name in FORWARDED_HEADERS)
        is_home = is_at_home(request.META.get("REMOTE_ADDR", ""), is_forwarded=is_forwarded)
        scope = scope_of(getattr(request, "user", None), is_home=is_home)
        if scope is not None:
            return view(request, scope, *arguments, **named)
        if request.user.is_authenticated:
            return _refused(request)
        return redirect_to_login(request.get_full_path(), settings.LOGIN_URL)

    return page


def _refused(request: HttpRequest) -> HttpResponse:
    return render(request, "403.html", status=403)
