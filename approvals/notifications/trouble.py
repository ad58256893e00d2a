"""An error in a policy: a human decides, and here operators are told of it, by receivers and by mail."""

import logging
from datetime import timedelta

from django.db.models import F, Q
from django.utils import timezone

from approvals import outbox
from approvals.audit.events import Actor, record
from approvals.models import ApprovalRequest, PolicyTrouble
from policies.judge import rule_at_fault

logger = logging.getLogger(__name__)
WORKER = Actor("system", "worker")
KIND = "policy.error"
QUIET = timedelta(hours=1)


def note(request: ApprovalRequest, error: str) -> None:
    """A rule could not be worked out for this request: count it, and tell operators unless they just were.

    At most once an hour for a rule; then how often it was since is said, too. In the caller's transaction, as a
    worker. A worker that dies between this and its next step may count an error twice.
    """
    rule, now = rule_at_fault(error), timezone.now()
    trouble, _ = PolicyTrouble.objects.get_or_create(
        tenant_id=request.tenant_id, action=request.action, rule=rule
    )
    found = PolicyTrouble.objects.filter(pk=trouble.pk)
    found.update(untold=F("untold") + 1)
    told_of = found.filter(Q(told_at=None) | Q(told_at__lte=now - QUIET)).update(
        told_at=now, times=F("untold"), untold=0, request_id=request.pk
    )
    logger.error(
        "policy not worked out", extra={"action": request.action, "rule": rule, "request_id": str(request.pk)}
    )
    if told_of != 1:
        return
    trouble.refresh_from_db()
    record(
        KIND,
        tenant_id=request.tenant_id,
        actor=WORKER,
        request_id=request.pk,
        trace_id=request.trace_id,
        data={"action": request.action, "rule": rule, "times": trouble.times},
    )
    outbox.announce(request, KIND)
    outbox.put(request, outbox.MAIL, kind=KIND)


def sentence(request: ApprovalRequest) -> str:
    """What operators are told. Never the error's own text: it may quote what was asked for."""
    told = PolicyTrouble.objects.filter(request_id=request.pk).order_by("-told_at").first()
    if told is None:  # a later one was told meanwhile
        return f"A rule for {request.action} could not be worked out, so people decide. {_TO_DO}"
    what = f"The rule '{told.rule}' for {told.action}" if told.rule else f"The policy for {told.action}"
    often = "" if told.times == 1 else f" {told.times} times since you were last told"
    return f"{what} could not be worked out{often}, so people decide. {_TO_DO}"


_TO_DO = "What went wrong stands on the request's page; mend the policy."
