"""Pages to come in by: a name and a password, or a link that works once."""

from __future__ import annotations

from typing import cast

from django.contrib.auth import login, update_session_auth_hash, views
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from budgets import people

BACKEND = "django.contrib.auth.backends.ModelBackend"

with_password = views.LoginView.as_view(template_name="login.html")
log_out = views.LogoutView.as_view()


@never_cache
@login_required
@sensitive_post_parameters()
@sensitive_variables()
def password(request: HttpRequest) -> HttpResponse:
    """Set a password of one's own; who has one says it first. Other browsers of the same person have to log in anew."""
    user = cast(User, request.user)
    kind = PasswordChangeForm if user.has_usable_password() else SetPasswordForm
    form = kind(user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        by = user.get_username()
        update_session_auth_hash(request, people.set_password(by, form.cleaned_data["new_password1"], by=by))
        return render(request, "password.html", {"is_done": True})
    return render(request, "password.html", {"form": form})


@never_cache
@require_http_methods(["GET", "POST"])
@sensitive_post_parameters()
@sensitive_variables()
def with_link(request: HttpRequest) -> HttpResponse:
    """Ask first, then let in: what fetches addresses ahead of a person (previews, scanners) must not use a link up.

    The token is in the query, which nothing of ours or Django's ever logs, as it does paths.
    """
    token = request.POST.get("token", "") if request.method == "POST" else request.GET.get("token", "")
    if request.method == "POST":
        user = people.redeem(token)
        if user is not None:
            login(request, user, backend=BACKEND)
            return redirect("/dashboard")
    elif (user := people.is_good(token)) is not None:
        return render(request, "login_link.html", {"person": user, "token": token})
    return render(request, "login_link.html", {"person": None}, status=404)
