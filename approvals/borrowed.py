"""Whose name an exercise comes in: that of the real agent which asked last under it. In the tenant's scope."""

from django.db.models import QuerySet

from approvals.models import ApprovalRequest


def alike(request: ApprovalRequest) -> ApprovalRequest:
    """Of an exercise the newest real request in the same name, where there is one: its own agent has never asked."""
    if not request.is_canary:
        return request
    return newest_real(request.requester_name).first() or request


def newest_real(name: str) -> QuerySet[ApprovalRequest]:
    """On nobody's behalf, as exercises are."""
    real = ApprovalRequest.objects.filter(
        is_canary=False, requester_name=name, agent__isnull=False, on_behalf_of=None
    )
    return real.order_by("-created_at", "id")
