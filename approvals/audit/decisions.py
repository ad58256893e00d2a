"""Every authorization decision as one log line, beside the event that only some of them leave.

At the agent's door the line of the call says it (`authz_result`); this is for everywhere else: pages and workers.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from uuid import UUID

from approvals.audit.events import Actor
from approvals.errors import Refusal

logger = logging.getLogger(__name__)


def decided(
    verb: str,
    *,
    is_allowed: bool,
    by: Actor,
    tenant_id: UUID | None,
    request_id: UUID | None = None,
    resource_id: str | None = None,
    action: str | None = None,
    policy_version: UUID | None = None,
    because: str | None = None,
) -> None:
    """Log who was allowed or denied what. Ids and words of ours only: no payload, no reason that somebody typed.

    `verb` is what was wanted (`approve`, `execute`, `trail`), `resource_id` names an object of the company's,
    `because` is the code of a refusal. The trace id comes from the page or the task that this happens in.
    """
    logger.info(
        "authorization",
        extra={
            "verb": verb,
            "subject_kind": by.kind,
            "subject_id": by.id,
            "tenant_id": _text(tenant_id),
            "request_id": _text(request_id),
            "resource_id": resource_id,
            "action": action,
            "policy_version": _text(policy_version),
            "authz_result": "allow" if is_allowed else "deny",
            "because": because,
        },
    )


@contextmanager
def deciding(
    verb: str,
    *,
    by: Actor,
    tenant_id: UUID | None,
    request_id: UUID | None = None,
    resource_id: str | None = None,
) -> Iterator[None]:
    """Around the block that decides: a Refusal of it is a denial, its end an allowance. Outermost, after the commit."""
    said = partial(decided, verb, by=by, tenant_id=tenant_id, request_id=request_id, resource_id=resource_id)
    try:
        yield
    except Refusal as refusal:
        said(is_allowed=False, because=refusal.code)
        raise
    said(is_allowed=True)


def _text(value: object) -> str | None:
    return str(value) if value else None
