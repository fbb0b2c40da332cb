import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('savings', '0001_ledger_and_price_overrides'),
    ]

    operations = [
        migrations.AddField(
            model_name='ledgerentry',
            name='recorded_at',
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
        ),
        migrations.AddIndex(
            model_name='ledgerentry',
            index=models.Index(fields=['recorded_at'], name='entry_recorded'),
        ),
    ]
