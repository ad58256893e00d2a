"""Whether a request may be carried out, worked out anew from the tables and without the product's own code.

Slow and plain on purpose: every way of giving people places is tried. What the product counts with is in
`approvals/judge.py`; the two share nothing but the tables.
"""

from collections.abc import Sequence
from itertools import permutations
from typing import Any
from uuid import UUID

import psycopg

Row = dict[str, Any]


def rows(shell: psycopg.Cursor[Any], sql: str, *parameters: object) -> list[Row]:
    shell.execute(sql, parameters)
    names = [column.name for column in shell.description or ()]
    return [dict(zip(names, row, strict=True)) for row in shell.fetchall()]


def why_unlawful(shell: psycopg.Cursor[Any], request_id: UUID) -> str:
    """Why nobody may carry this request out now; "" when its agreement is whole."""
    (request,) = rows(shell, "SELECT * FROM approval_request WHERE id = %s", request_id)
    kind = request["verdict"]["kind"]
    if kind == "auto_approve":
        return ""
    if kind == "deny":
        return "the policy forbids it"
    places = [one["role"] for one in request["verdict"]["stages"] for _ in range(one["count"])]
    if not places:
        return "nobody is asked"
    return "" if _seated(places, _voters(shell, request)) else f"no quorum for {places}"


def _voters(shell: psycopg.Cursor[Any], request: Row) -> list[set[str]]:
    """The roles of each independent, active person who approved exactly this revision."""
    interested = {request["person_id"], request["owner_id"], request["on_behalf_of_id"]}
    votes = rows(
        shell,
        """SELECT DISTINCT v.person_id FROM vote v JOIN identity_person p ON p.id = v.person_id
           WHERE v.request_id = %s AND v.revision = %s AND v.decision = 'approve' AND p.is_active""",
        request["id"],
        request["revision"],
    )
    held = rows(
        shell, "SELECT person_id, role FROM identity_membership WHERE tenant_id = %s", request["tenant_id"]
    )
    return [
        {one["role"] for one in held if one["person_id"] == vote["person_id"]}
        for vote in votes
        if vote["person_id"] not in interested
    ]


def _seated(places: Sequence[str], people: Sequence[set[str]]) -> bool:
    return any(
        all(role in roles for role, roles in zip(places, order, strict=True))
        for order in permutations(people, len(places))
    )
