"""What runs in the embedded child: a Celery worker and beat in one process, over folders of the workspace."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import threading
import warnings
from pathlib import Path

from celery.beat import EmbeddedService
from celery.platforms import SecurityWarning
from django.conf import settings

from headroom_site.celery import app
from proxy import lineage

NICENESS = 10
LAST_WORDS_S = 10.0


def run() -> None:
    """Work until told to stop, or until the server is gone."""
    # Ctrl-C in a terminal goes to the server, which tells us.
    os.setsid()
    os.nice(NICENESS)
    lineage.when_parent_dies(_leave)
    _empty_folders()
    logging.getLogger("celery").setLevel(logging.WARNING)
    logging.getLogger("kombu.connection").setLevel(logging.ERROR)  # folders have no host name, and it warns of that
    warnings.filterwarnings("ignore", category=SecurityWarning)  # who may start the server may start this
    app.conf.update(worker_hijack_root_logger=False, worker_redirect_stdouts=False, worker_enable_remote_control=False)
    beat = EmbeddedService(app, thread=True, schedule_filename=str(settings.CELERY_DIR / "schedule"))
    threading.Thread(target=_beat, args=(beat,), name="beat", daemon=True).start()
    app.Worker(
        pool="solo",
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        hostname=f"embedded-{os.getpid()}@localhost",
    ).start()


def _beat(beat: EmbeddedService) -> None:
    """A worker without beat would only look alive: the two end together, and the server starts both again."""
    try:
        beat.run()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


def _leave() -> None:
    timer = threading.Timer(LAST_WORDS_S, os._exit, [1])
    timer.daemon = True
    timer.start()
    os.kill(os.getpid(), signal.SIGTERM)


def _empty_folders() -> None:
    """Begin anew: a killed predecessor may have left half a message, and beat sends everything again."""
    for name in ("queue", "control"):
        folder: Path = settings.CELERY_DIR / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
