"""Countersign: agents ask, people countersign, workers act, the trail remembers."""

from approvals.celery import app as celery_app

__all__ = ["celery_app"]
