"""The Celery application: `celery --app headroom_site.celery worker` and `… beat` in set-ups with Redis."""

from __future__ import annotations

import os

from celery import Celery
from celery.schedules import crontab

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "headroom_site.settings")

app = Celery("headroom", include=["headroom_site.tasks"])
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    timezone="UTC",
    task_ignore_result=True,
    # A task whose worker died is done again; every task of ours may be done twice.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    beat_scheduler="headroom_site.schedule:Schedule",
    beat_schedule={
        "audit": {
            "task": "headroom.audit",
            "schedule": crontab(hour="3", minute="17"),
            "options": {"expires": 6 * 3600.0},
        },
        # What nobody took within a minute is not needed any more: the next one does its work.
        "roll": {"task": "headroom.roll", "schedule": 30.0, "options": {"expires": 60.0}},
        "roll-late": {
            "task": "headroom.roll_late",
            "schedule": crontab(hour="2", minute="41"),
            "options": {"expires": 6 * 3600.0},
        },
        "telemetry": {
            "task": "headroom.telemetry",
            "schedule": crontab(hour="4", minute="41"),
            "options": {"expires": 6 * 3600.0},
        },
        "deliver-alerts": {"task": "headroom.deliver_alerts", "schedule": 30.0, "options": {"expires": 25.0}},
        "prune": {"task": "headroom.prune", "schedule": crontab(minute="23"), "options": {"expires": 3000.0}},
        "learn": {"task": "headroom.learn", "schedule": 1800.0, "options": {"expires": 1500.0}},
        "forget-unused": {"task": "headroom.forget_unused", "schedule": 3600.0, "options": {"expires": 3000.0}},
    },
)
