import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('budgets', '0001_keys_and_teams'),
    ]

    operations = [
        migrations.CreateModel(
            name='Budget',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('scope', models.CharField(choices=[('global', 'everybody'), ('team', 'team'), ('key', 'key')], max_length=8)),
                ('limit_nano_usd', models.BigIntegerField()),
                ('period', models.CharField(choices=[('hourly', 'hourly'), ('daily', 'daily'), ('weekly', 'weekly'), ('monthly', 'monthly'), ('total', 'total')], max_length=8)),
                ('time_zone', models.CharField(default='UTC', max_length=60)),
                ('policy', models.CharField(choices=[('normal', 'normal'), ('strict', 'strict')], default='normal', max_length=8)),
                ('origin', models.CharField(default='admin', editable=False, max_length=8)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('key', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='budgets', to='budgets.apikey')),
                ('team', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='budgets', to='budgets.team')),
            ],
        ),
        migrations.CreateModel(
            name='BudgetPeriod',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('starts_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField(blank=True, null=True)),
                ('limit_nano_usd', models.BigIntegerField()),
                ('spent_nano_usd', models.BigIntegerField(default=0)),
                ('held_nano_usd', models.BigIntegerField(default=0)),
                ('leased_nano_usd', models.BigIntegerField(default=0)),
                ('alerted_percent', models.PositiveSmallIntegerField(default=0)),
                ('budget', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='periods', to='budgets.budget')),
            ],
        ),
        migrations.CreateModel(
            name='BudgetShare',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('workspace', models.CharField(max_length=40)),
                ('holder', models.CharField(max_length=60)),
                ('held_nano_usd', models.BigIntegerField(default=0)),
                ('leased_nano_usd', models.BigIntegerField(default=0)),
                ('changed_at', models.DateTimeField(auto_now=True)),
                ('period', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='shares', to='budgets.budgetperiod')),
            ],
        ),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('key__isnull', True), ('scope', 'global'), ('team__isnull', True)), models.Q(('key__isnull', True), ('scope', 'team'), ('team__isnull', False)), models.Q(('key__isnull', False), ('scope', 'key'), ('team__isnull', True)), _connector='OR'), name='budget_is_for_its_scope'),
        ),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.CheckConstraint(condition=models.Q(('limit_nano_usd__gte', 0)), name='budget_limit_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.UniqueConstraint(condition=models.Q(('ended_at__isnull', True), ('origin', 'settings')), fields=('origin',), name='budget_of_settings_is_one'),
        ),
        migrations.AddIndex(
            model_name='budgetperiod',
            index=models.Index(fields=['ends_at'], name='period_end'),
        ),
        migrations.AddConstraint(
            model_name='budgetperiod',
            constraint=models.UniqueConstraint(fields=('budget', 'starts_at'), name='period_once_per_budget'),
        ),
        migrations.AddConstraint(
            model_name='budgetperiod',
            constraint=models.CheckConstraint(condition=models.Q(('ends_at__isnull', True), ('ends_at__gt', models.F('starts_at')), _connector='OR'), name='period_ends_after_start'),
        ),
        migrations.AddIndex(
            model_name='budgetshare',
            index=models.Index(fields=['workspace'], name='share_workspace'),
        ),
        migrations.AddConstraint(
            model_name='budgetshare',
            constraint=models.UniqueConstraint(fields=('period', 'holder'), name='share_once_per_holder'),
        ),
    ]
