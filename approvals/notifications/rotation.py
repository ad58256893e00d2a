"""Another secret for a receiver: for a day both sign, so that its program can be changed in between.

Standard Webhooks, "signature scheme": signatures of several secrets stand in one header, separated by spaces.
"""

from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from approvals.errors import (
    EarlierSecretCounts,
    NoSecretToRenew,
    NoTokenToReplace,
    SecretEnded,
    SecretRenewedAlready,
)
from approvals.identity.requester import Reviewer
from approvals.models import Receiver, ReceiverSecret
from approvals.notifications.operating import found, noted, operating
from approvals.notifications.receivers import check_app, keep_secret, new_secret
from approvals.payloads import unseal

OVERLAP = timedelta(hours=24)


def renew_secret(receiver_id: UUID, *, instead_of: UUID, by: Reviewer) -> str:
    """A new secret, to be shown this once. The one `instead_of` which it is signs as well for OVERLAP.

    Raises ReceiversByOperators, NotFound, NoSecretToRenew, EarlierSecretCounts, or SecretRenewedAlready where the
    current one is another; then nothing changed.
    """
    with operating("renew_receiver_secret", by=by, tenant_id=by.tenant_id, what=receiver_id):
        receiver, now = found(receiver_id), timezone.now()
        if receiver.kind != Receiver.WEBHOOK:
            raise NoSecretToRenew(name=receiver.name)
        theirs = ReceiverSecret.objects.filter(receiver=receiver)
        if earlier := theirs.filter(ends_at__gt=now).values_list("ends_at", flat=True).first():
            raise EarlierSecretCounts(until=f"{earlier:%-d %b %Y, %H:%M}")
        if theirs.filter(pk=instead_of, ends_at=None).update(ends_at=now + OVERLAP) != 1:
            raise SecretRenewedAlready
        secret = new_secret()
        kept = keep_secret(receiver, secret)
        until = (now + OVERLAP).isoformat()
        noted(
            "receiver.secret_renewed",
            receiver,
            by=by,
            data={"secret": str(kept.pk), "earlier_secret": str(instead_of), "earlier_until": until},
        )
    return secret


def replace_token(receiver_id: UUID, token: str, *, instead_of: UUID, by: Reviewer) -> None:
    """Another token for a Slack app, from now on.

    Raises ReceiversByOperators, NotFound, ReceiverRefused, NoTokenToReplace, or SecretRenewedAlready where the current
    one is another; then nothing changed.
    """
    with operating("replace_receiver_token", by=by, tenant_id=by.tenant_id, what=receiver_id):
        receiver = found(receiver_id)
        if receiver.kind != Receiver.SLACK_APP:
            raise NoTokenToReplace(name=receiver.name)
        check_app(receiver.channel, token)
        current = ReceiverSecret.objects.filter(receiver=receiver, pk=instead_of, ends_at=None)
        if current.update(ends_at=timezone.now()) != 1:
            raise SecretRenewedAlready
        kept = keep_secret(receiver, token)
        noted(
            "receiver.secret_renewed",
            receiver,
            by=by,
            data={"secret": str(kept.pk), "earlier_secret": str(instead_of)},
        )


def end_overlap(receiver_id: UUID, secret_id: UUID, *, by: Reviewer) -> None:
    """From now on an earlier secret signs nothing. Raises ReceiversByOperators, NotFound or SecretEnded."""
    with operating("end_receiver_secret", by=by, tenant_id=by.tenant_id, what=receiver_id):
        receiver, now = found(receiver_id), timezone.now()
        earlier = ReceiverSecret.objects.filter(pk=secret_id, receiver=receiver, ends_at__gt=now)
        if earlier.update(ends_at=now) != 1:
            raise SecretEnded
        noted("receiver.secret_ended", receiver, by=by, data={"secret": str(secret_id)})


def secrets_of(receiver: Receiver) -> list[str]:
    """Those that sign now, the newest first. In a scope of the tenant, as a worker."""
    counts = ReceiverSecret.objects.filter(Q(ends_at=None) | Q(ends_at__gt=timezone.now()), receiver=receiver)
    sealed = counts.order_by("-created_at", "id").values_list("sealed", flat=True)
    return [unseal(each) for each in sealed]
