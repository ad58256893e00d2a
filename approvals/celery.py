"""Celery carries nudges; PostgreSQL is the queue. What the broker loses, the sweeper finds."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "approvals.settings")

app = Celery("approvals")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["approvals"])
