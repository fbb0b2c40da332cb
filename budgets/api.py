"""The management API, as a table of contents: keys, teams and budgets, for who is logged in and for keys that may manage.

It calls what the command line and the admin call. What a caller may not see is not there, and answers 404.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Status
from ninja.openapi.docs import ABS_TPL_PATH, Swagger
from ninja.security import APIKeyHeader, HttpBearer, SessionAuth

from budgets import access, keys, limits, periods, schemas, teams, versions
from budgets.access import Scope
from budgets.models import ApiKey, Budget, Team
from budgets.schemas import (
    BudgetIn,
    BudgetOut,
    KeyIn,
    KeyOut,
    KeyWithSecret,
    LimitIn,
    RotateIn,
    TeamIn,
    TeamOut,
    TopUpIn,
)

VERSION_HEADER = "If-Match"


class NotYours(Exception):
    """The caller may look at it, and not change it."""


class NotThere(Exception):
    """There is nothing of this id, or nothing that the caller may know of."""


def _by_key(secret: str | None) -> tuple[Scope, str] | None:
    key = keys.find_by_secret(secret) if secret and secret.startswith(keys.MARK) else None
    scope = access.scope_of_key(key) if key else access.NOTHING
    return (scope, f"key {key}") if key and scope.role else None


class OwnHeader(APIKeyHeader):
    """A key that may manage, in our own header."""

    param_name = "x-headroom-key"

    def authenticate(self, request: HttpRequest, key: str | None) -> tuple[Scope, str] | None:
        return _by_key(key)


class Bearer(HttpBearer):
    """A key that may manage, as a bearer."""

    def authenticate(self, request: HttpRequest, token: str) -> tuple[Scope, str] | None:
        return _by_key(token)


class Session(SessionAuth):
    """Somebody who is logged in to the pages; with the CSRF token in whatever changes something."""

    def authenticate(self, request: HttpRequest, key: str | None) -> tuple[Scope, str] | None:
        scope = access.scope_of(request.user)
        return (scope, request.user.get_username()) if scope.role else None


class Docs(Swagger):
    """The page that shows the API and tries it out, with files of ours alone."""

    template_cdn = str(ABS_TPL_PATH / "swagger.html")


api = NinjaAPI(
    title="Headroom management",
    version="1",
    description="Keys, teams and budgets. Callers are logged in, or send a key that may manage as x-headroom-key or bearer.",
    urls_namespace="manage",
    auth=[OwnHeader(), Bearer(), Session()],
    docs=Docs(),
    docs_decorator=login_required,
)

HTTP: dict[type[Exception], tuple[HTTPStatus, str]] = {
    versions.ChangedMeanwhile: (HTTPStatus.CONFLICT, "changed_meanwhile"),
    NotYours: (HTTPStatus.FORBIDDEN, "not_permitted"),
    NotThere: (HTTPStatus.NOT_FOUND, "not_found"),
    keys.NoSuchKey: (HTTPStatus.NOT_FOUND, "not_found"),
    keys.BadName: (HTTPStatus.UNPROCESSABLE_ENTITY, "bad_name"),
    keys.BadPermission: (HTTPStatus.UNPROCESSABLE_ENTITY, "bad_permission"),
    teams.NoSuchTeam: (HTTPStatus.NOT_FOUND, "not_found"),
    teams.BadTeam: (HTTPStatus.UNPROCESSABLE_ENTITY, "bad_team"),
    limits.NoSuchBudget: (HTTPStatus.NOT_FOUND, "not_found"),
    limits.BadBudget: (HTTPStatus.UNPROCESSABLE_ENTITY, "bad_budget"),
    periods.NoSuchZone: (HTTPStatus.UNPROCESSABLE_ENTITY, "bad_time_zone"),
}


def _answer(status: HTTPStatus, code: str) -> Callable[[HttpRequest, Any], HttpResponse]:
    def answer(request: HttpRequest, exc: Exception) -> HttpResponse:
        return api.create_response(request, {"error": {"code": code, "message": str(exc)}}, status=status)

    return answer


for _kind, (_status, _code) in HTTP.items():
    api.exception_handler(_kind)(_answer(_status, _code))


@api.get("/keys", response=list[KeyOut], tags=["keys"])
def list_keys(request: HttpRequest) -> Any:
    return _seen(request, ApiKey.objects.select_related("team").order_by("created_at", "id"))


@api.post("/keys", response={201: KeyWithSecret}, tags=["keys"])
def issue_key(request: HttpRequest, key: KeyIn) -> Any:
    made, secret = keys.issue(_own_shape(request, key), by=_by(request))
    return Status(201, schemas.with_secret(made, secret))


@api.get("/keys/{key_id}", response=KeyOut, tags=["keys"])
def get_key(request: HttpRequest, key_id: str) -> Any:
    return _key(request, key_id)


@api.put("/keys/{key_id}", response=KeyOut, tags=["keys"])
def change_key(request: HttpRequest, key_id: str, key: KeyIn) -> Any:
    present = _key(request, key_id)
    return keys.change(str(present.pk), _own_shape(request, key), seen=_version(request), by=_by(request))


@api.post("/keys/{key_id}/rotate", response=KeyWithSecret, tags=["keys"])
def rotate_key(request: HttpRequest, key_id: str, rotate: RotateIn) -> Any:
    present, by = _key(request, key_id), _by(request)
    overlap = timedelta(hours=rotate.overlap_hours)
    key, secret = keys.rotate(str(present.pk), overlap=overlap, seen=_version(request), by=by)
    return schemas.with_secret(key, secret)


@api.post("/keys/{key_id}/revoke", response=KeyOut, tags=["keys"])
def revoke_key(request: HttpRequest, key_id: str) -> Any:
    return keys.revoke(str(_key(request, key_id).pk), by=_by(request))


@api.get("/teams", response=list[TeamOut], tags=["teams"])
def list_teams(request: HttpRequest) -> Any:
    return _seen(request, Team.objects.order_by("name"))


@api.post("/teams", response={201: TeamOut}, tags=["teams"])
def make_team(request: HttpRequest, team: TeamIn) -> Any:
    return Status(201, teams.create(team.name, by=_by_owner(request)))


@api.put("/teams/{team_id}", response=TeamOut, tags=["teams"])
def rename_team(request: HttpRequest, team_id: int, team: TeamIn) -> Any:
    return teams.rename(_team(request, team_id).pk, team.name, seen=_version(request), by=_by_owner(request))


@api.delete("/teams/{team_id}", response={204: None}, tags=["teams"])
def remove_team(request: HttpRequest, team_id: int) -> Any:
    teams.remove(_team(request, team_id).pk, by=_by_owner(request))
    return Status(204, None)


@api.get("/budgets", response=list[BudgetOut], tags=["budgets"])
def list_budgets(request: HttpRequest) -> Any:
    return [schemas.budget(row) for row in _seen(request, _budgets())]


@api.post("/budgets", response={201: BudgetOut}, tags=["budgets"])
def begin_budget(request: HttpRequest, budget: BudgetIn) -> Any:
    by = _by(request)
    key = _key(request, budget.key_id) if budget.key_id else None
    team = _team(request, budget.team_id) if budget.team_id else None
    if key is None and team is None:
        by = _by_owner(request)
    made = limits.create(
        budget.limit_usd, budget.period, key=key, team=team, time_zone=budget.time_zone, policy=budget.policy, by=by
    )
    return Status(201, _standing(made.pk))


@api.get("/budgets/{budget_id}", response=BudgetOut, tags=["budgets"])
def get_budget(request: HttpRequest, budget_id: int) -> Any:
    return schemas.budget(_budget(request, budget_id))


@api.put("/budgets/{budget_id}/limit", response=BudgetOut, tags=["budgets"])
def set_limit(request: HttpRequest, budget_id: int, limit: LimitIn) -> Any:
    present, by = _budget(request, budget_id), _by(request)
    return _standing(limits.set_limit(present.pk, limit.limit_usd, seen=_version(request), by=by).pk)


@api.post("/budgets/{budget_id}/top-up", response=BudgetOut, tags=["budgets"])
def top_up(request: HttpRequest, budget_id: int, amount: TopUpIn) -> Any:
    limits.top_up(_budget(request, budget_id).pk, amount.usd, by=_by(request))
    return _standing(budget_id)


@api.post("/budgets/{budget_id}/reset-alert", response=BudgetOut, tags=["budgets"])
def reset_alert(request: HttpRequest, budget_id: int) -> Any:
    limits.reset_alert(_budget(request, budget_id).pk, by=_by(request))
    return _standing(budget_id)


@api.post("/budgets/{budget_id}/end", response={204: None}, tags=["budgets"])
def end_budget(request: HttpRequest, budget_id: int) -> Any:
    limits.end(_budget(request, budget_id).pk, seen=_version(request), by=_by(request))
    return Status(204, None)


def _scope(request: HttpRequest) -> Scope:
    scope, _ = request.auth  # type: ignore[attr-defined]
    found: Scope = scope
    return found


def _by(request: HttpRequest) -> str:
    """Who changes something. Raises NotYours for those who only look."""
    scope, name = request.auth  # type: ignore[attr-defined]
    if not scope.may_change:
        raise NotYours("viewers may not change anything")
    return str(name)


def _by_owner(request: HttpRequest) -> str:
    """The same for what is not of one team."""
    by = _by(request)
    if not _scope(request).is_everything:
        raise NotYours("this is for owners")
    return by


def _version(request: HttpRequest) -> str:
    return request.headers.get(VERSION_HEADER, "").strip(' "')


def _seen(request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
    return access.visible(rows, _scope(request))


def _key(request: HttpRequest, key_id: str) -> ApiKey:
    try:
        key: ApiKey = _seen(request, ApiKey.objects.select_related("team")).get(pk=key_id)
    except (ApiKey.DoesNotExist, ValidationError) as exc:
        raise NotThere(f"there is no key {key_id!r}") from exc
    return key


def _team(request: HttpRequest, team_id: int) -> Team:
    team: Team | None = _seen(request, Team.objects.all()).filter(pk=team_id).first()
    if team is None:
        raise NotThere(f"there is no team {team_id}")
    return team


def _budgets() -> QuerySet[Budget]:
    return limits.with_accounts(Budget.objects.filter(ended_at__isnull=True).select_related("key", "team"))


def _budget(request: HttpRequest, budget_id: int) -> Budget:
    budget: Budget | None = _seen(request, _budgets()).filter(pk=budget_id).first()
    if budget is None:
        raise NotThere(f"no budget in force has the id {budget_id}")
    return budget


def _standing(budget_id: int) -> BudgetOut:
    return schemas.budget(_budgets().get(pk=budget_id))


def _own_shape(request: HttpRequest, key: KeyIn) -> keys.Shape:
    """The shape that was asked for, in a team that the caller sees."""
    _by(request)
    scope = _scope(request)
    if key.team and scope.is_everything:
        return key.shape(key.team)
    own = _seen(request, Team.objects.all())
    if scope.is_everything:
        return key.shape("")
    team = own.filter(name=keys.printable("team", key.team)).first() if key.team else own.first()
    if team is None:
        raise NotThere(f"there is no team {key.team!r}")
    return key.shape(team.name)
