
from django.db import migrations, models

from savings.migration_operations import AlterFieldOnServer


class Migration(migrations.Migration):

    dependencies = [
        ('savings', '0009_words_for_people'),
    ]

    operations = [
        AlterFieldOnServer(
            model_name='buckettotal',
            name='cache_discount_nano_usd',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        AlterFieldOnServer(
            model_name='buckettotal',
            name='output_cost_nano_usd',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        AlterFieldOnServer(
            model_name='dailyrollup',
            name='cache_discount_nano_usd',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        AlterFieldOnServer(
            model_name='dailyrollup',
            name='output_cost_nano_usd',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        AlterFieldOnServer(
            model_name='hourlyrollup',
            name='cache_discount_nano_usd',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        AlterFieldOnServer(
            model_name='hourlyrollup',
            name='output_cost_nano_usd',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        AlterFieldOnServer(
            model_name='ledgerentry',
            name='cache_outcome',
            field=models.CharField(blank=True, db_default='', default='', max_length=16),
        ),
        AlterFieldOnServer(
            model_name='ledgerentry',
            name='conversation',
            field=models.CharField(blank=True, db_default='', default='', max_length=40),
        ),
        AlterFieldOnServer(
            model_name='ledgerentry',
            name='is_observed',
            field=models.BooleanField(db_default=False, default=False),
        ),
        AlterFieldOnServer(
            model_name='ledgerentry',
            name='origin',
            field=models.CharField(db_default='client', default='client', max_length=16),
        ),
        AlterFieldOnServer(
            model_name='ledgerentry',
            name='savings_basis',
            field=models.CharField(blank=True, db_default='', default='', max_length=20),
        ),
        AlterFieldOnServer(
            model_name='tally',
            name='cache_discount_nano_usd',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        AlterFieldOnServer(
            model_name='tally',
            name='output_cost_nano_usd',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
    ]
