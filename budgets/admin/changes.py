"""Who changed what: read only."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from budgets.admin import base
from budgets.admin.pages import BoundedPaginator
from budgets.admin.site import site
from budgets.models import Change


@admin.register(Change, site=site)
class Changes(base.ReadOnlyAdmin):
    """The trail of every change, newest first."""

    list_display = ("at", "actor", "action", "kind", "label", "told")
    list_filter = ("kind", "action")
    search_fields = ("actor", "label", "object_id")
    ordering = ("-at",)
    sortable_by = ("at",)
    paginator = BoundedPaginator
    fields = ("at", "actor", "action", "kind", "object_id", "label", "told")
    readonly_fields = fields

    @admin.display(description="how")
    def told(self, change: Change) -> SafeString | str:
        told = ((name, value) for name, value in change.detail.items() if value not in (None, "", [], {}, False))
        return format_html_join(", ", "{} {}", told) or "–"
