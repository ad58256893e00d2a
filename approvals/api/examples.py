"""Examples of the OpenAPI document. A test holds them to the shapes; the people in them are the demo's."""

from typing import Any

from approvals.errors import SelfApproval

HOST = "https://countersign.example"
REQUEST_ID = "4f7c2b9e-0f3a-4a53-9d57-0f6a2f3f8a10"
AGENT_ID = "b3c1d2e4-5f60-4a71-8b92-a3b4c5d6e7f8"
PERSON_ID = "0c9d8e7f-6a5b-4c3d-9e2f-1a0b9c8d7e6f"
EVENT_ID = "7a6b5c4d-3e2f-4a1b-8c9d-0e1f2a3b4c5d"
SWITCH_ID = "9e8d7c6b-5a49-4838-8271-605f4e3d2c1b"
FILED, DECIDED = "2026-11-26T09:30:00.120000Z", "2026-11-26T09:41:07.004000Z"
MARK = f"0~2026-11-26T09:30:00.120000+00:00~{REQUEST_ID}"
NEXT = f"{HOST}/api/v1/requests/?status=pending&after=0~2026-11-26T09%3A30%3A00.120000%2B00%3A00~{REQUEST_ID}"
MONEY: dict[str, Any] = {"minor": 12900, "currency": "USD", "text": "129.00 USD"}

LISTED: dict[str, Any] = {
    "id": REQUEST_ID,
    "status": "pending",
    "revision": 1,
    "action": "refund_payment",
    "headline": "Refund 129.00 USD of payment pay_10001",
    "thing": "pay_10001",
    "risk": "medium",
    "amount": MONEY,
    "requester": {"kind": "agent", "id": AGENT_ID, "name": "Support agent"},
    "undoes": None,
    "created_at": FILED,
    "expires_at": "2026-11-27T09:30:00.120000Z",
    "is_held": False,
    "decided_at": None,
    "finished_at": None,
    "outcome": "",
    "url": f"{HOST}/requests/{REQUEST_ID}/",
}
REQUESTS: dict[str, Any] = {"view": "person", "results": [LISTED], "next": NEXT}
REQUEST: dict[str, Any] = {
    "view": "person",
    **LISTED,
    "owner": "Otto",
    "on_behalf_of": "",
    "reason": "The customer returned the parcel unopened.",
    "payload": "whole",
    "claimed": [
        {"name": "payment_id", "value": "pay_10001", "amount": None},
        {"name": "amount_minor", "value": "12900", "amount": MONEY},
        {"name": "currency", "value": "USD", "amount": None},
    ],
    "computed": [{"name": "refundable_minor", "value": "12900", "amount": MONEY, "claimed": None}],
    "facts_read_at": FILED,
    "arguments_sha256": "9b1f4a0d6c3e2b5a8f7e6d5c4b3a29181706f5e4d3c2b1a09f8e7d6c5b4a3928",
    "rule": {
        "name": "refunds",
        "kind": "require",
        "because": "A refund is looked at by a support lead.",
        "comment": "",
        "error": "",
        "policy_version": 3,
        "asks_for_proof": False,
        "places": [{"role": "support_lead", "count": 1, "open": 1, "turn": 0}],
        "terms": [],
    },
    "threats": ["Money that is sent cannot be called back."],
    "undone_by": "",
    "irreversible_because": "Money that was sent back cannot be called back.",
    "votes": [],
    "attempts": [],
    "look_ups": [],
    "backing_reference": "",
    "exercise": "",
    "you": {
        "may_decide": False,
        "may_approve": False,
        "may_withdraw": False,
        "refusal": str(SelfApproval(why="the agent that asked is yours")),
        "instead_of": "",
    },
    "seen": "c0ffee5f3b1a4c8d9e7f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5",
}
OWN_REQUEST: dict[str, Any] = {
    "view": "agent",
    "id": REQUEST_ID,
    "status": "pending",
    "revision": 1,
    "action": "refund_payment",
    "headline": LISTED["headline"],
    "sentence": "Waiting for a decision. Nothing has been done yet; ask again later.",
    "outcome": "",
    "backing_reference": "",
    "created_at": FILED,
    "expires_at": LISTED["expires_at"],
    "changed_at": FILED,
    "is_held": False,
    "is_refused": False,
    "url": LISTED["url"],
}
OWN_REQUESTS: dict[str, Any] = {"view": "agent", "results": [OWN_REQUEST], "next": None}
A_VOTE = {"decision": "approve", "seen": REQUEST["seen"], "comment": "The parcel is back."}

EVENT: dict[str, Any] = {
    "id": EVENT_ID,
    "at": DECIDED,
    "kind": "vote.cast",
    "meaning": "A reviewer voted.",
    "actor": {"kind": "person", "id": PERSON_ID, "name": "Lena"},
    "request_id": REQUEST_ID,
    "headline": LISTED["headline"],
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
    "data": {"decision": "approve", "revision": 1},
    "personal": {"name": "Lena", "comment": "The parcel is back."},
    "is_sealed": True,
}
REQUEST_EVENTS = {"results": [EVENT]}
EVENTS = {"results": [EVENT], "next": None, "count": 1, "count_is_exact": True}

LISTED_POLICY: dict[str, Any] = {
    "number": 3,
    "author": "Paul",
    "because": "Refunds above 500.00 need finance, too.",
    "based_on": 2,
    "created_at": FILED,
    "is_active": True,
    "activated_at": DECIDED,
    "until": None,
}
POLICIES = {"results": [LISTED_POLICY], "next": None}
POLICY = {
    "version": LISTED_POLICY,
    "source": "version: 1\n...",
    "source_sha256": REQUEST["arguments_sha256"],
    "in_force": [
        {"at": DECIDED, "replaced": 2, "request_id": REQUEST_ID, "asked_by": "Paul", "agreed": ["Opal"]}
    ],
    "asked": [],
}

AGENTS = {
    "results": [
        {
            "id": AGENT_ID,
            "name": "Support agent",
            "owner": "Otto",
            "for_whom": "",
            "is_active": True,
            "is_stopped": False,
            "is_connected": True,
            "added_at": FILED,
        }
    ],
    "next": None,
}
MINE = {
    "connected": [
        {
            "id": AGENT_ID,
            "name": "Desk helper",
            "is_connected": True,
            "is_active": True,
            "is_stopped": False,
            "scopes": ["approvals:read"],
            "first_connected_at": FILED,
            "last_token_at": DECIDED,
        }
    ],
    "answered_for": [],
}

STOP: dict[str, Any] = {
    "id": SWITCH_ID,
    "for_everybody": False,
    "agent": "",
    "tool": "request_refund",
    "stops": "requests",
    "reason": "Refunds are being sent twice at the provider.",
    "on_at": FILED,
    "on_by": "Opal",
    "off_at": None,
    "off_by": "",
    "is_yours_to_turn": True,
}
SWITCHES = {"results": [STOP], "next": None}
A_STOP = {
    "where": "here",
    "agent": None,
    "tool": "request_refund",
    "stops": "requests",
    "reason": STOP["reason"],
}

ME = {
    "kind": "person",
    "id": PERSON_ID,
    "name": "Lena",
    "company": "Acme Outdoor",
    "roles": ["support_lead"],
    "by_token_of": AGENT_ID,
}
