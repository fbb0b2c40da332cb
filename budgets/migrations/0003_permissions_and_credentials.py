import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('budgets', '0002_budgets'),
    ]

    operations = [
        migrations.AddField(
            model_name='apikey',
            name='allowed_models',
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AddField(
            model_name='apikey',
            name='allowed_routes',
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AddField(
            model_name='apikey',
            name='allowed_upstreams',
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AddField(
            model_name='apikey',
            name='previous_expires_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='apikey',
            name='previous_prefix',
            field=models.CharField(blank=True, editable=False, max_length=16),
        ),
        migrations.AddField(
            model_name='apikey',
            name='previous_sha256',
            field=models.CharField(blank=True, editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name='apikey',
            name='requests_per_minute',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='apikey',
            name='tokens_per_minute',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name='UpstreamCredential',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('provider', models.CharField(choices=[('anthropic', 'anthropic'), ('openai', 'openai')], max_length=20)),
                ('sealed', models.TextField(editable=False)),
                ('changed_at', models.DateTimeField(auto_now=True)),
                ('key', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='credentials', to='budgets.apikey')),
                ('team', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='credentials', to='budgets.team')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('key__isnull', True), ('team__isnull', True), _connector='OR'), name='credential_has_one_owner'), models.UniqueConstraint(fields=('provider', 'key'), name='credential_once_per_key'), models.UniqueConstraint(fields=('provider', 'team'), name='credential_once_per_team'), models.UniqueConstraint(condition=models.Q(('key__isnull', True), ('team__isnull', True)), fields=('provider',), name='credential_once_for_all')],
            },
        ),
    ]
