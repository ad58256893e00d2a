"""How long a page of a request lay before the person who decided: from when it was made until its form came back.

A GET changes nothing, so the form itself carries the moment, signed, and bound to person, request and what was shown.
It is a measure, no gate: with a mark that is missing, foreign or forged the time is not known, and nothing is refused.
"""

import time
from contextlib import suppress
from uuid import UUID

from django.core import signing

from approvals.identity.requester import Reviewer
from approvals.payloads import digest

SALT = "countersign.looking"
LONGEST = 24 * 60 * 60  # seconds; a tab that stayed open over the weekend was not read for so long


def began(by: Reviewer, request_id: UUID, seen: str) -> str:
    """The mark for a page that is made now."""
    return signing.dumps({"of": _of(by, request_id, seen), "at": int(time.time())}, salt=SALT)


def seconds(mark: str, by: Reviewer, request_id: UUID, seen: str) -> int | None:
    """Since the page with this mark was made, a day at most; None where the mark is not of this person and page."""
    with suppress(signing.BadSignature, ValueError, KeyError, TypeError):
        told = signing.loads(mark, salt=SALT)
        if told["of"] == _of(by, request_id, seen):
            # Web processes may stand on hosts whose clocks differ a little.
            return min(max(int(time.time()) - int(told["at"]), 0), LONGEST)
    return None


def _of(by: Reviewer, request_id: UUID, seen: str) -> str:
    return digest(f"{by.tenant_id}:{by.person_id}:{request_id}:{seen}")
