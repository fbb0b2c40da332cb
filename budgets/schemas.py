"""What the management API takes and gives."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from ninja import Field, Schema

from budgets import dollars, keys, limits, versions
from budgets.limits import Policy
from budgets.models import ApiKey, Budget, Team
from budgets.periods import Kind


class KeyIn(Schema):
    """A key as it is to be. A team by name; owners make it by naming it, managers always mean their own."""

    name: str
    team: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    expires_at: datetime | None = None
    models: list[str] = Field(default_factory=list, description="Empty is every model; may end in *.")
    routes: list[str] = Field(default_factory=list, description="Empty is every route.")
    upstreams: list[str] = Field(default_factory=list, description="Empty is every upstream.")
    requests_per_minute: int | None = Field(None, description="null is what the settings say, 0 is no limit.")
    tokens_per_minute: int | None = Field(None, description="null is what the settings say, 0 is no limit.")
    is_admin: bool = Field(False, description="Whether it may use this API.")

    def shape(self, team: str) -> keys.Shape:
        """The same for `budgets.keys`."""
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            raise keys.BadPermission("expires_at has a time zone, as in 2030-01-01T00:00:00Z")
        return keys.Shape(
            name=self.name,
            team=team,
            labels=self.labels,
            expires_at=self.expires_at,
            permissions=keys.Permissions(
                models=tuple(self.models),
                routes=tuple(self.routes),
                upstreams=tuple(self.upstreams),
                requests_per_minute=self.requests_per_minute,
                tokens_per_minute=self.tokens_per_minute,
            ),
            is_admin=self.is_admin,
        )


class KeyOut(Schema):
    """A key; its secret is never among it."""

    id: uuid.UUID
    version: str
    name: str
    prefix: str
    team: str
    labels: dict[str, str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    models: list[str]
    routes: list[str]
    upstreams: list[str]
    requests_per_minute: int | None
    tokens_per_minute: int | None
    is_admin: bool
    old_secret_until: datetime | None

    @staticmethod
    def resolve_version(row: ApiKey) -> str:
        return versions.of(row)

    @staticmethod
    def resolve_team(row: ApiKey) -> str:
        return row.team.name if row.team else ""

    @staticmethod
    def resolve_models(row: ApiKey) -> Any:
        return row.allowed_models

    @staticmethod
    def resolve_routes(row: ApiKey) -> Any:
        return row.allowed_routes

    @staticmethod
    def resolve_upstreams(row: ApiKey) -> Any:
        return row.allowed_upstreams

    @staticmethod
    def resolve_old_secret_until(row: ApiKey) -> datetime | None:
        return row.previous_expires_at


class KeyWithSecret(Schema):
    """A key and its secret, which is in this answer and nowhere else."""

    key: KeyOut
    secret: str


def with_secret(key: ApiKey, secret: str) -> dict[str, Any]:
    """What a new secret is answered with."""
    return {"key": key, "secret": secret}


class RotateIn(Schema):
    overlap_hours: float = Field(24, ge=0, le=keys.MAX_OVERLAP.days * 24)


class TeamIn(Schema):
    name: str


class TeamOut(Schema):
    id: int
    version: str
    name: str
    created_at: datetime

    @staticmethod
    def resolve_version(row: Team) -> str:
        return versions.of(row)


class BudgetIn(Schema):
    """A budget for a key, a team, or everybody where neither is named."""

    limit_usd: Decimal
    period: Kind
    key_id: str | None = None
    team_id: int | None = None
    time_zone: str = "UTC"
    policy: Policy = "normal"


class LimitIn(Schema):
    limit_usd: Decimal


class TopUpIn(Schema):
    usd: Decimal


class BudgetOut(Schema):
    """A budget in force and its running account; dollars are decimal strings, exact to the nano-dollar."""

    id: int
    version: str
    scope: str
    key_id: uuid.UUID | None
    team_id: int | None
    period: str
    time_zone: str
    policy: str
    limit_usd: str
    running_limit_usd: str = Field(description="With what was topped up in this period.")
    spent_usd: str
    held_usd: str
    leased_usd: str
    alerted_percent: int
    starts_at: datetime | None
    ends_at: datetime | None


def budget(row: Budget) -> BudgetOut:
    """A budget that came from `limits.with_accounts`."""
    period = limits.account(row)
    return BudgetOut(
        id=row.pk,
        version=versions.of(row),
        scope=row.scope,
        key_id=row.key_id,
        team_id=row.team_id,
        period=row.period,
        time_zone=row.time_zone,
        policy=row.policy,
        limit_usd=dollars.exact(row.limit_nano_usd),
        running_limit_usd=dollars.exact(period.limit_nano_usd if period else row.limit_nano_usd),
        spent_usd=dollars.exact(period.spent_nano_usd if period else 0),
        held_usd=dollars.exact(period.held_nano_usd if period else 0),
        leased_usd=dollars.exact(period.leased_nano_usd if period else 0),
        alerted_percent=period.alerted_percent if period else 0,
        starts_at=period.starts_at if period else None,
        ends_at=period.ends_at if period else None,
    )
