"""Every read that a page, a tool or the API shows. Nothing here changes a request.

Each function opens its own scope and returns frozen values: no query is left to run in a template.
"""

from approvals.queries.agent import (
    SENTENCES,
    AgentView,
    agent_view,
    request_of_agent,
    requests_of_agent,
    review_url,
    sentence,
    standings,
)
from approvals.queries.attention import How, how_we_decide
from approvals.queries.break_glass import (
    GlassUse,
    glass_uses,
    may_review,
    may_watch,
    unreviewed,
)
from approvals.queries.called import agent_called, person_called
from approvals.queries.compared import Compared, compared
from approvals.queries.connected import (
    AgentRow,
    AnsweredFor,
    Connected,
    agents_in,
    answered_for_by,
    connected_by,
)
from approvals.queries.decided import Decided, decided
from approvals.queries.deliveries import STATES, Delivery, SoughtMessages, deliveries
from approvals.queries.doubt import Doubt, InDoubt, in_doubt, may_see_doubt, staying
from approvals.queries.listing import (
    Listed,
    Sought,
    WithoutSensitive,
    listed,
    own_request,
    own_requests_page,
    requests_page,
    without_sensitive,
)
from approvals.queries.news import news_of_queue, news_of_request
from approvals.queries.paging import Page
from approvals.queries.policies import (
    PolicyChange,
    PolicyRow,
    PolicyView,
    policies,
    policy_in_force,
    policy_view,
)
from approvals.queries.question import Wanted
from approvals.queries.queue import Filters, QueueRow, Tally, queue, tallies
from approvals.queries.receivers import ReceiverRow, ReceiverView, receiver_view, receivers
from approvals.queries.request import RequestView, request_view
from approvals.queries.searching import Found, every, search
from approvals.queries.spent import Spent, capped, spent
from approvals.queries.switches import AgentChoice, Stop, agents_of, stop_of, stopped, went_on
from approvals.queries.table import table
from approvals.queries.taken import Taken, taken
from approvals.queries.tenants import TenantChoice, tenant_called, tenants_of
from approvals.queries.timeline import Timeline, Told, in_short, timeline
from approvals.queries.trail import TrailLine, allowed, denied, kept_outside, tenant_trail
from approvals.queries.verified import Verified, verified

__all__ = [
    "SENTENCES",
    "STATES",
    "AgentChoice",
    "AgentRow",
    "AgentView",
    "AnsweredFor",
    "Compared",
    "Connected",
    "Decided",
    "Delivery",
    "Doubt",
    "Filters",
    "Found",
    "GlassUse",
    "How",
    "InDoubt",
    "Listed",
    "Page",
    "PolicyChange",
    "PolicyRow",
    "PolicyView",
    "QueueRow",
    "ReceiverRow",
    "ReceiverView",
    "RequestView",
    "Sought",
    "SoughtMessages",
    "Spent",
    "Stop",
    "Taken",
    "Tally",
    "TenantChoice",
    "Timeline",
    "Told",
    "TrailLine",
    "Verified",
    "Wanted",
    "WithoutSensitive",
    "agent_called",
    "agent_view",
    "agents_in",
    "agents_of",
    "allowed",
    "answered_for_by",
    "capped",
    "compared",
    "connected_by",
    "decided",
    "deliveries",
    "denied",
    "every",
    "glass_uses",
    "how_we_decide",
    "in_doubt",
    "in_short",
    "kept_outside",
    "listed",
    "may_review",
    "may_see_doubt",
    "may_watch",
    "news_of_queue",
    "news_of_request",
    "own_request",
    "own_requests_page",
    "person_called",
    "policies",
    "policy_in_force",
    "policy_view",
    "queue",
    "receiver_view",
    "receivers",
    "request_of_agent",
    "request_view",
    "requests_of_agent",
    "requests_page",
    "review_url",
    "search",
    "sentence",
    "spent",
    "standings",
    "staying",
    "stop_of",
    "stopped",
    "table",
    "taken",
    "tallies",
    "tenant_called",
    "tenant_trail",
    "tenants_of",
    "timeline",
    "unreviewed",
    "verified",
    "went_on",
    "without_sensitive",
]
