"""People who look at pages, and what they click."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from django.test import Client

from budgets import people, teams
from budgets.models import ApiKey, Team
from savings.models import LedgerEntry


def logged_in(role: Any = "owner", team: Team | None = None, name: str = "") -> Client:
    """A browser of somebody with this role."""
    client = Client()
    client.force_login(
        people.create(name or f"{role}-{uuid.uuid4().hex[:6]}", role, team), "django.contrib.auth.backends.ModelBackend"
    )
    return client


def make_team(name: str) -> Team:
    return teams.create(name)


def form_of(client: Client, path: str) -> dict[str, str]:
    """The fields of a page's main form as a browser would send them back."""
    page = client.get(path)
    assert page.status_code == 200, page.status_code
    form = page.context["adminform"].form
    fields: dict[str, Any] = {}
    for one in [form, *_inline_forms(page)]:
        for bound in one:
            value = bound.value()
            name = bound.html_name
            if value is None or value is False:
                continue
            if isinstance(value, datetime):
                fields |= {f"{name}_0": f"{value:%Y-%m-%d}", f"{name}_1": f"{value:%H:%M:%S}"}
            else:
                fields[name] = "on" if value is True else str(value)
    return fields


def _inline_forms(page: Any) -> list[Any]:
    formsets = [inline.formset for inline in page.context.get("inline_admin_formsets", [])]
    return [form for formset in formsets for form in (formset.management_form, *formset.initial_forms)]


def shown_secret(page: Any) -> str:
    """The secret that a page shows."""
    found = re.search(r'id="secret">([^<]+)<', page.content.decode())
    assert found, page.content.decode()[-2000:]
    return found.group(1)


def do(client: Client, model: str, action: str, *rows: Any, app: str = "budgets", **answers: Any) -> Any:
    """Choose an action of a list, and say yes."""
    chosen = {"action": action, "_selected_action": [str(row.pk) for row in rows], **answers}
    return client.post(f"/admin/{app}/{model}/", {**chosen, "sure": "yes"}, follow=True)


def make_entry(key: ApiKey | None = None, **fields: Any) -> LedgerEntry:
    """A row of the ledger."""
    owner = "local" if key is None else f"team:{key.team_id}" if key.team_id else f"key:{key.pk}"
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "id": uuid.uuid4(),
        "request_id": uuid.uuid4(),
        "attempt": 1,
        "provider": "anthropic",
        "model_answered": "claude-sonnet-4-5",
        "owner": owner,
        "key_id": str(key.pk) if key else "",
        "key_label": key.name if key else "",
        "team": key.team.name if key and key.team else "",
        "status": "complete",
        "basis": "measured",
        "cost_nano_usd": 1_234_500_000,
        "price_source": "genai-prices",
        "admitted_at": now - timedelta(minutes=1),
        "settled_at": now,
    }
    return LedgerEntry.objects.create(**(values | fields))
