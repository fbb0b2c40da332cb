"""What lists of a conversation's things share: the way to its page, and the filter that its page leads to."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from budgets.admin.ledger import WrittenFilter


class OfConversation(WrittenFilter):
    """By conversation, exactly."""

    title = parameter_name = "conversation"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(conversation=self.value()) if self.value() else queryset


@admin.display(description="conversation")
def link(self: Any, row: Any) -> SafeString | str:
    """A column: the page of a row's conversation."""
    if not row.conversation:
        return "–"
    return format_html(
        '<a href="{}">{}</a>', reverse("dashboard-conversation", args=[row.conversation]), row.conversation[:8]
    )
