"""Steps of migrations that Django does not have."""

from __future__ import annotations

from typing import Any

from django.db.migrations import AlterField


class AlterFieldOnServer(AlterField):
    """Change a column of PostgreSQL. SQLite would copy the whole table, and has no older worker beside a newer one."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self.database_forwards(app_label, schema_editor, from_state, to_state)
