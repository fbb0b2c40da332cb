
from django.db import migrations, models

from savings.migration_operations import AlterFieldOnServer


class Migration(migrations.Migration):

    dependencies = [
        ('budgets', '0006_words_for_people'),
    ]

    operations = [
        AlterFieldOnServer(
            model_name='apikey',
            name='allowed_models',
            field=models.JSONField(blank=True, db_default=[], default=list),
        ),
        AlterFieldOnServer(
            model_name='apikey',
            name='allowed_routes',
            field=models.JSONField(blank=True, db_default=[], default=list),
        ),
        AlterFieldOnServer(
            model_name='apikey',
            name='allowed_upstreams',
            field=models.JSONField(blank=True, db_default=[], default=list),
        ),
        AlterFieldOnServer(
            model_name='apikey',
            name='is_admin',
            field=models.BooleanField(db_default=False, default=False),
        ),
        AlterFieldOnServer(
            model_name='apikey',
            name='previous_prefix',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=16),
        ),
        AlterFieldOnServer(
            model_name='apikey',
            name='previous_sha256',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=64),
        ),
    ]
