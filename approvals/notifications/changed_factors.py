"""The letter to somebody whose second factors changed: if it was not they, they hear of it.

It is no letter that anybody chooses: it leaves at once, whatever their quiet hours say.
"""

from django.conf import settings

from approvals.models import Outbox
from approvals.notifications.letters import Letter

ADDED, REMOVED = "factor.added", "factor.removed"
KINDS = frozenset({ADDED, REMOVED})


def letter(row: Outbox, address: str) -> Letter:
    what = "added to" if row.kind == ADDED else "taken away from"
    return Letter(
        to=(address,),
        subject=f"A second factor was {what} your account",
        paragraphs=(
            f"An authenticator app, a passkey or recovery codes were {what} your account, "
            f"{row.created_at:%-d %b %Y, %H:%M} UTC.",
            "If it was you, there is nothing to do. If not, somebody else can sign in as you: tell whoever runs "
            "Countersign at once.",
            f"What there is now: {settings.PUBLIC_URL}/accounts/security/",
        ),
    )
