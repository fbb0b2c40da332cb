
from django.db import migrations, models

from savings.migration_operations import AlterFieldOnServer


class Migration(migrations.Migration):

    dependencies = [
        ('proxy', '0005_epoch_progress'),
    ]

    operations = [
        AlterFieldOnServer(
            model_name='epochrecord',
            name='last_turn',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        AlterFieldOnServer(
            model_name='epochrecord',
            name='read_share',
            field=models.FloatField(db_default=0.1, default=0.1),
        ),
    ]
