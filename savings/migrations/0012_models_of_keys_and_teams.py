from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('savings', '0001_at_once'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='ledgerentry',
            index=models.Index(fields=['key_id', 'model_answered', 'admitted_at'], name='entry_key_model_time'),
        ),
        migrations.AddIndex(
            model_name='ledgerentry',
            index=models.Index(fields=['owner', 'model_answered', 'admitted_at'], name='entry_owner_model_time'),
        ),
    ]
