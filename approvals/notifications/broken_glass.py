"""The mail to everybody who watches a company: somebody has pushed a request through alone."""

from approvals.glass import SECURITY
from approvals.models import ApprovalRequest, BreakGlass
from approvals.notifications.letters import Letter, addresses_of
from approvals.queries import review_url

KIND = "request.break_glass"


def letter(request: ApprovalRequest) -> Letter:
    """Without the reason that was typed: it stands behind the link, for people who sign in."""
    pushed = BreakGlass.objects.filter(request=request).order_by("-created_at")
    who = pushed.values_list("person__name", flat=True).first() or "Somebody"
    return Letter(
        to=addresses_of(request.tenant_id, SECURITY),
        subject="Break-glass: a request was pushed through by one person alone",
        paragraphs=(
            f"{who} has pushed this through alone: {request.headline}",
            f"What it is, and why: {review_url(request.pk)}",
            "Somebody with the role security or auditor, other than they, has to say whether it was justified.",
        ),
    )
