"""How much one agent, one tool of an agent, and all agents of a tenant may ask for.

Calls a minute and repeated refusals are counted in Redis, which all door processes share and which may forget.
Requests that wait and requests of a day are counted in PostgreSQL, in the transaction that files one more.
"""

from approvals.limits.calls import LIMITED, check_api_call, check_call, fingerprint, note_refusal
from approvals.limits.filings import check_filing
from approvals.limits.seldom import times_untold
from approvals.limits.sparingly import record_limit, record_sparingly, tell

__all__ = [
    "LIMITED",
    "check_api_call",
    "check_call",
    "check_filing",
    "fingerprint",
    "note_refusal",
    "record_limit",
    "record_sparingly",
    "tell",
    "times_untold",
]
