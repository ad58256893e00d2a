"""What the log and the trail say of calls that were turned away: a line for each, an event a minute for each kind.

Whatever knows of a person leaves its own event where it is refused (`queries.denied`, the verbs), and counts likewise
where a program reads in their name. Here are programs: a loop of one must not make the trail grow.
"""

import logging
from typing import TYPE_CHECKING

from approvals import limits
from approvals.audit.decisions import decided
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.errors import (
    CountersignError,
    LimitReached,
    NotFound,
    PeopleOnly,
    TokenNeverDecides,
    TokenRefused,
)

if TYPE_CHECKING:
    from uuid import UUID

    from approvals.api.endpoint import Endpoint

logger = logging.getLogger(__name__)

WEB = Actor("system", "web")  # a token says which agent it is for; who holds it is not known
TOLD = (TokenRefused, TokenNeverDecides, PeopleOnly, NotFound, LimitReached)
LEFT_ELSEWHERE = (NotFound,)  # where it is read in a person's name: theirs is the event


def refused(refusal: CountersignError, status: int, view: "Endpoint") -> None:
    """Leave what there is to leave. Nothing is raised: the caller is answered all the same."""
    agent_id, tenant_id = _whose(refusal, view)
    if agent_id is None or tenant_id is None or not isinstance(refusal, TOLD):
        return
    if isinstance(refusal, LEFT_ELSEWHERE) and view.caller is not None and view.caller.reader is not None:
        return
    because = str(refusal.details.get("because", refusal.code))
    decided(
        f"api {view.wanted}",
        is_allowed=False,
        by=Actor("agent", str(agent_id)),
        tenant_id=tenant_id,
        because=because,
    )
    try:
        _count(agent_id, tenant_id, because, status, view.wanted, is_limit=isinstance(refusal, LimitReached))
    # Whatever it was: who is refused is told so.
    except Exception:
        logger.exception("a refusal is not on the trail")


def _whose(refusal: CountersignError, view: "Endpoint") -> "tuple[UUID | None, UUID | None]":
    """The agent, where a token says so: one that was let in, or whose token was once good."""
    if view.caller is not None and view.caller.agent is not None:
        return view.caller.agent.agent_id, view.caller.agent.tenant_id
    if isinstance(refusal, TokenRefused):
        return refusal.details.get("agent_id"), refusal.details.get("tenant_id")  # type: ignore[return-value]
    return None, None


def _count(
    agent_id: "UUID", tenant_id: "UUID", because: str, status: int, wanted: str, *, is_limit: bool
) -> None:
    times = limits.times_untold(f"api {agent_id} {status} {because} {wanted}")
    if not times:
        return
    about: dict[str, object] = {"agent": str(agent_id), "wanted": f"api {wanted}"}
    counted = {"code": because, "refused": times} if is_limit else {f"{status} {because}": times}
    with tenant_scope(tenant_id):
        record(
            "limit.reached" if is_limit else "access.turned_away",
            tenant_id=tenant_id,
            actor=WEB,
            data={**about, **counted},
        )
