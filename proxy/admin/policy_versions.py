"""Policy versions: proposals with their evidence, adopted or declined by a person."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from budgets.admin import base
from budgets.admin.site import site
from proxy.learning import counts, judgement, versions
from proxy.models import PolicyVersion

MOST = 100
"""So many forms are shown with what was counted of them, the most frequent ones."""
KINDS = {"in force": "good", "proposed": "warn"}
WHY = {"asked": "wanted back", "reread": "read again"}


@admin.register(PolicyVersion, site=site)
class PolicyVersions(base.ScopedAdmin):
    """Newest first. What is adopted holds for conversations that begin from then on."""

    list_display = ("number", "standing", "told", "decided")
    list_filter = ("state",)
    ordering = ("-id",)
    actions = ("adopt", "decline")
    change_form_template = "admin/change_form_with_actions.html"
    change_list_template = "admin/policy_list.html"
    fields = ("number", "standing", "told", "evidence_table", "created_at", "decided_at", "decided_by")
    readonly_fields = fields

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        rows = [(one, judgement.wilson(one.asked, one.sent)) for one in counts.cohorts(datetime.now(UTC))[:MOST]]
        return super().changelist_view(request, {**(extra_context or {}), "cohorts": rows})

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: PolicyVersion, form: Any, change: bool) -> None:
        """Nothing here can be written into: a version is decided on as a whole."""

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *arguments: Any, **named: Any) -> Any:
        unsaved = {"show_save": False, "show_save_and_continue": False}
        return super().render_change_form(request, {**context, **unsaved}, *arguments, **named)

    def offers(self, action: str, row: PolicyVersion) -> bool:
        return action in versions.choices(row, versions.in_force())

    @admin.action(description="Adopt for new conversations", permissions=["change"])
    def adopt(self, request: HttpRequest, rows: QuerySet[PolicyVersion]) -> HttpResponse | None:
        if rows.count() != 1:
            self.message_user(request, "Adopt one version at a time: only one is in force.", "error")
            return None

        def do(version: PolicyVersion, _: Mapping[str, Any]) -> str:
            versions.adopt(version.pk, by=base.actor(request))
            return f"Version {version.pk} is in force for conversations that begin from now on."

        question = base.Question(
            "Adopt a policy version",
            "Conversations that begin from now on follow it, on every worker within seconds. Those under way go on as they "
            "began: no byte that was sent changes.",
            "Adopt",
        )
        return base.ask(self, request, rows, question, do)

    @admin.action(description="Decline", permissions=["change"])
    def decline(self, request: HttpRequest, rows: QuerySet[PolicyVersion]) -> HttpResponse | None:
        def do(version: PolicyVersion, _: Mapping[str, Any]) -> str:
            versions.decline(version.pk, by=base.actor(request))
            return f"Version {version.pk} is declined."

        question = base.Question(
            "Decline a proposal", "What was counted until today does not speak for its rules any more.", "Decline"
        )
        return base.ask(self, request, rows, question, do)

    @admin.display(description="version", ordering="id")
    def number(self, version: PolicyVersion) -> int:
        return int(version.pk)

    @admin.display(description="state", ordering="state")
    def standing(self, version: PolicyVersion) -> SafeString:
        name = versions.standing(version, versions.in_force() if version.state == "adopted" else None)
        return base.badge(name, KINDS.get(name, ""))

    @admin.display(description="rules")
    def told(self, version: PolicyVersion) -> SafeString | str:
        """Those that are new in it first."""
        return format_html_join("", "<div>{}</div>", ((words,) for words in versions.in_words(version))) or "none"

    @admin.display(description="decided (UTC)", ordering="decided_at")
    def decided(self, version: PolicyVersion) -> str:
        return f"{version.decided_at:%Y-%m-%d %H:%M} by {version.decided_by}" if version.decided_at else "–"

    @admin.display(description="evidence")
    def evidence_table(self, version: PolicyVersion) -> SafeString | str:
        """What spoke for the rules that are new in it, when it was proposed."""
        if not version.evidence:
            return "–"
        head = ("tool", "form", "level", "what happened", "of", "share", "95 % interval", "usual", "asked for", "saved")
        rows = format_html_join("", "<tr>{}</tr>", ((_cells(one),) for one in version.evidence))
        return format_html(
            "<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>",
            format_html_join("", "<th>{}</th>", ((word,) for word in head)),
            rows,
        )


def _cells(one: Mapping[str, Any]) -> SafeString:
    parts = ", ".join(f"{name} {count:,}" for name, count in one["parts"].items())
    cells = (
        *one["rule"],
        f"{one['count']:,} {WHY[one['why']]}",
        f"{one['total']:,}",
        f"{one['count'] / one['total']:.0%}",
        f"{one['low']:.0%} to {one['high']:.0%}",
        f"{one['usual']:.0%}" if one["why"] == "reread" else "–",
        parts or "–",
        f"{one['saved_tokens']:,} tokens",
    )
    return format_html_join("", "<td>{}</td>", ((cell,) for cell in cells))
