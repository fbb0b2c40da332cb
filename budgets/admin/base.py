"""What all lists and forms here share: whose rows are seen, who else changed them, questions before deeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin, ShowFacets, helpers
from django.db.models import Field, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from budgets import access, versions

REFUSALS = (ValueError, LookupError)
"""What the modules that write rows raise: about values, and about what is not there."""


def scope(request: HttpRequest) -> access.Scope:
    """How far the one who asks sees; looked up once for each request."""
    found: access.Scope | None = getattr(request, "_scope", None)
    if found is None:
        found = access.scope_of(request.user)
        request._scope = found  # type: ignore[attr-defined]
    return found


def actor(request: HttpRequest) -> str:
    """The one who asks, as the trail names people."""
    return request.user.get_username()


class SeenForm(forms.ModelForm):
    """A form that remembers the version of the row it was filled from."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if self.instance.pk is not None and not self.instance._state.adding:
            self.initial["seen"] = versions.of(self.instance)

    def clean(self) -> Any:
        """Tell the second of two who change one row at the same time, before anything is tried."""
        cleaned = super().clean() or self.cleaned_data
        seen = cleaned.get("seen", "")
        if seen and seen != self.initial.get("seen"):
            raise forms.ValidationError(str(versions.ChangedMeanwhile(self._before())))
        return cleaned

    def _before(self) -> Model:
        before: Model = type(self.instance)._base_manager.get(pk=self.instance.pk)
        return before


class ScopedAdmin(ModelAdmin):
    """Rows of one's own team only. What is out of sight is not there: 404, whether it exists or not."""

    list_per_page = 50
    show_full_result_count = False
    save_on_top = False
    view_on_site = False
    show_facets = ShowFacets.NEVER

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return access.visible(super().get_queryset(request), scope(request))

    def get_actions(self, request: HttpRequest) -> Any:
        """Ours only: nothing is deleted by ticking boxes."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        title = capfirst(str(self.opts.verbose_name_plural))
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def formfield_for_dbfield(self, db_field: Field[Any, Any], request: HttpRequest, **named: Any) -> Any:
        """As usual, with a name for each of the two parts of a time."""
        field = super().formfield_for_dbfield(db_field, request, **named)
        if isinstance(field, forms.SplitDateTimeField):
            for part, widget in zip(("date", "time"), field.widget.widgets, strict=True):
                widget.attrs["aria-label"] = f"{capfirst(str(field.label))}: {part}"
        return field

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponseRedirect:
        raise Http404

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show or save; what is refused while saving is said, and nothing of it is kept."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except REFUSALS as exc:
            if request.method != "POST" or not is_ours(exc):
                raise
            self.message_user(request, str(exc), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *arguments: Any, **named: Any) -> Any:
        """What can be done to a row of the list can be done on its own page."""
        row = context.get("original")
        actions = [(name, words) for _, name, words in self.get_actions(request).values() if self.offers(name, row)]
        return super().render_change_form(request, {**context, "row_actions": actions}, *arguments, **named)

    def offers(self, action: str, row: Any) -> bool:
        """Whether a row's own page has the button of an action: not where it could only be refused."""
        return True

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {name: value for name, value in super().get_changeform_initial_data(request).items() if name != "seen"}


class ReadOnlyAdmin(ScopedAdmin):
    """Rows that are looked at and never changed by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before a deed: its words, and a form where it needs to know more."""

    title: str
    text: str
    button: str
    is_danger: bool = False
    form: type[forms.Form] | None = None


def ask(
    admin: ModelAdmin[Any],
    request: HttpRequest,
    rows: QuerySet[Any],
    question: Question,
    do: Callable[[Any, Mapping[str, Any]], str | HttpResponse],
) -> HttpResponse | None:
    """Ask once, then do it to each row and say what was done. Part of an action of a list."""
    form = None
    if question.form is not None:
        form = question.form(request.POST if "sure" in request.POST else None)
    if "sure" in request.POST and (form is None or form.is_valid()):
        for row in rows:
            try:
                done = do(row, form.cleaned_data if form else {})
            except REFUSALS as exc:
                if not is_ours(exc):
                    raise
                admin.message_user(request, str(exc), messages.ERROR)
                continue
            admin.log_change(request, row, question.title)
            if isinstance(done, HttpResponse):
                return done
            admin.message_user(request, done, messages.SUCCESS)
        return None
    context = {
        **admin.admin_site.each_context(request),
        "title": question.title,
        "question": question,
        "form": form,
        "rows": rows,
        "opts": admin.opts,
        "action": request.POST.get("action", ""),
        "checkbox": helpers.ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/ask.html", context)


def show_secret(admin: ModelAdmin[Any], request: HttpRequest, secret: str, **words: Any) -> HttpResponse:
    """The one page that a secret is ever on. It is the answer itself: nothing of it is kept to be shown after a redirect."""
    context = {**admin.admin_site.each_context(request), "opts": admin.opts, "secret": secret, **words}
    response = TemplateResponse(request, "admin/secret.html", context)
    response["Cache-Control"] = "no-store"
    return response


def is_ours(exc: Exception) -> bool:
    """Whether it was raised on purpose by a module that writes rows, and may be read by people."""
    return type(exc).__module__.startswith(("budgets.", "proxy."))


def badge(text: str, kind: str = "") -> SafeString:
    """A word in a coloured pill."""
    return format_html('<span class="badge {}">{}</span>', kind, text)


def lines(words: Iterable[str]) -> str:
    """Words as a box of a form shows them, one each line."""
    return "\n".join(words)


class Lines(forms.CharField):
    """One word each line."""

    widget = forms.Textarea(attrs={"rows": 3, "cols": 40, "spellcheck": "false"})

    def to_python(self, value: Any) -> Any:
        return tuple(word.strip() for word in (super().to_python(value) or "").splitlines() if word.strip())

    def has_changed(self, initial: Any, data: Any) -> bool:
        return tuple(self.to_python(initial)) != tuple(self.to_python(data))
