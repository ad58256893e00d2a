"""The answer to a request too many (RFC 6585, section 4), and what is left of it: a line and an event a minute."""

import logging

from django.http import JsonResponse

from approvals.audit.events import INSTALLATION, Actor, record
from approvals.database import tenant_scope
from approvals.limits.seldom import times_untold

logger = logging.getLogger(__name__)


def too_many(endpoint: str, seconds: int) -> JsonResponse:
    """429 with an OAuth error; `endpoint` is a word of ours."""
    count(endpoint)
    words = f"Too many requests came from here. Nothing was done. Come back in {seconds} seconds."
    headers = {"Cache-Control": "no-store", "Retry-After": str(seconds)}
    answer = JsonResponse({"error": "slow_down", "error_description": words}, status=429, headers=headers)
    answer._has_been_logged = True  # type: ignore[attr-defined] # Django would write a line for each
    return answer


def count(endpoint: str) -> None:
    """Log and record it, unless that was done within the minute: knocking must not make the trail grow.

    No address: it is a person's, perhaps, and the proxy's log has it.
    """
    times = times_untold(endpoint)
    if not times:
        return
    logger.info(
        "refused at the OAuth server",
        extra={"endpoint": endpoint, "status": 429, "times": times, "authz_result": "deny"},
    )
    try:
        with tenant_scope(INSTALLATION):
            record(
                "access.turned_away",
                tenant_id=INSTALLATION,
                actor=Actor("system", "web"),
                data={f"429 {endpoint}": times},
            )
    # Whatever it was: who asks too often is told so.
    except Exception:
        logger.exception("a refusal is not on the trail")
