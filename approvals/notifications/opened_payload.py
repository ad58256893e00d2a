"""The mail to everybody who watches a company: somebody has opened the full payload of a finished request."""

from approvals.glass import SECURITY
from approvals.models import ApprovalRequest, PayloadReading
from approvals.notifications.letters import Letter, addresses_of
from approvals.queries import review_url

KIND = "payload.opened"


def letter(request: ApprovalRequest) -> Letter:
    """Without what was opened, and without the reason: both stand behind the link, for people who sign in."""
    readings = PayloadReading.objects.filter(request=request).order_by("-created_at")
    who = readings.values_list("person__name", flat=True).first() or "Somebody"
    return Letter(
        to=addresses_of(request.tenant_id, SECURITY),
        subject="Break-glass: the full payload of a finished request was opened",
        paragraphs=(
            f"{who} has opened all that this asked for, sensitive fields too: {request.headline}",
            f"Why, on its trail: {review_url(request.pk)}trail/",
        ),
    )
