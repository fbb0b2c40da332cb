from datetime import UTC, datetime

from django.db import migrations


def create(apps, schema_editor):
    now = datetime.now(UTC)
    apps.get_model("proxy", "PolicyVersion").objects.create(
        state="adopted", created_at=now, decided_at=now, decided_by="built in"
    )


class Migration(migrations.Migration):
    """The built-in policy has a row, so that one can go back to it."""

    dependencies = [("proxy", "0007_learning")]

    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
