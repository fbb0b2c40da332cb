"""Whether the database has the tables of this version."""

from __future__ import annotations

import io

from django.conf import settings
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from budgets import people
from headroom_site import program


class NotReady(RuntimeError):
    """The database does not answer, or is not of this version."""


def prepare() -> None:
    """Bring an embedded database up to date; raise NotReady for a server's that is not."""
    try:
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as exc:
        hint = "" if settings.IS_EMBEDDED else "; check HEADROOM_DATABASE_URL and that the server runs"
        raise NotReady(f"the database does not answer: {str(exc).strip()}{hint}") from exc
    if not pending:
        return
    if not settings.IS_EMBEDDED:
        raise NotReady(
            f"the database lacks {len(pending)} migrations; run `{program.name()} migrate` once, then start again"
        )
    call_command("migrate", verbosity=0, interactive=False, stdout=io.StringIO())
    people.grant()
