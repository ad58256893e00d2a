"""It stays in doubt whether something happened: operators are told once, by receivers and by mail."""

from approvals.models import ApprovalRequest
from approvals.notifications.letters import Letter, addresses_of
from approvals.queries import review_url

KIND = "request.stays_uncertain"
OPERATOR = "operator"


def letter(request: ApprovalRequest) -> Letter:
    """To the operators: they look it up at the provider, and settle it under four eyes."""
    return Letter(
        to=addresses_of(request.tenant_id, OPERATOR),
        subject="It is not known whether a request was carried out",
        paragraphs=(
            f"Sent, and no clear answer so far: {request.headline}",
            "Do not repeat it by hand. Look it up where it was sent, by the reference on its page; then settle it "
            f"there together with another operator: {review_url(request.pk)}",
        ),
    )
