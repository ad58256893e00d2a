"""Whether a request may be carried out, worked out anew from the tables and without the product's own code.

Slow and plain on purpose: every way of giving people places is tried. What the product counts with is in
`approvals/quorum.py` and in the database's own trigger; this shares nothing with either but the tables.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations, permutations
from typing import Any
from uuid import UUID

import psycopg

Row = dict[str, Any]
NOT_FOR_OTHERS = {"auditor", "operator", "platform_operator"}
SECOND_FACTORS = ("totp", "webauthn", "recovery_codes")


@dataclass(frozen=True)
class Voice:
    """One approval that is somebody's own: who gave it, by whose roles, and when."""

    who: UUID
    whom: UUID
    at: datetime
    roles: frozenset[str]


def rows(shell: psycopg.Cursor[Any], sql: str, *parameters: object) -> list[Row]:
    shell.execute(sql, parameters)
    names = [column.name for column in shell.description or ()]
    return [dict(zip(names, row, strict=True)) for row in shell.fetchall()]


def why_unlawful(shell: psycopg.Cursor[Any], request_id: UUID) -> str:
    """Why nobody may carry it out now; "" where its agreement is whole, a rule asks nobody, or the glass is broken."""
    (request,) = rows(shell, "SELECT * FROM approval_request WHERE id = %s", request_id)
    verdict = request["verdict"]
    if request["is_canary"]:
        return "it is an exercise"
    if verdict["kind"] == "auto_approve":
        return ""
    if verdict["kind"] == "deny":
        return "the policy forbids it"
    if _glass(shell, request):
        return ""
    steps: dict[int, list[str]] = {}
    for stage in verdict["stages"]:
        steps.setdefault(stage["step"], []).extend([stage["role"]] * stage["count"])
    ordered = [steps[step] for step in sorted(steps)]
    delegations = rows(shell, "SELECT * FROM delegation WHERE tenant_id = %s", request["tenant_id"])
    voices = list(_voices(shell, request, delegations))
    if ordered and _agreed(ordered, voices, delegations, request):
        return ""
    return f"no quorum for {ordered} among {len(voices)}"


def _glass(shell: psycopg.Cursor[Any], request: Row) -> bool:
    return bool(
        rows(
            shell,
            """SELECT 1 FROM break_glass g JOIN identity_person p ON p.id = g.person_id AND p.is_active
               JOIN identity_membership m ON m.person_id = p.id AND m.tenant_id = g.tenant_id AND m.role = 'break_glass'
               WHERE g.request_id = %s AND g.revision = %s AND g.valid_until > clock_timestamp()
                   AND g.proof = ANY(%s) AND g.reason <> '' AND NOT g.person_id = ANY(%s)""",
            request["id"],
            request["revision"],
            list(SECOND_FACTORS),
            list(_interested(request)),
        )
    )


def _interested(request: Row) -> set[UUID]:
    return {request[f"{tie}_id"] for tie in ("person", "owner", "on_behalf_of", "editor")} - {None}


def _voices(shell: psycopg.Cursor[Any], request: Row, delegations: Sequence[Row]) -> Iterator[Voice]:
    """Each independent person's approval of exactly this revision, with the roles that it counts by now."""
    people = {one["id"] for one in rows(shell, "SELECT id FROM identity_person WHERE is_active")}
    held: dict[UUID, set[str]] = {}
    for one in rows(shell, "SELECT * FROM identity_membership WHERE tenant_id = %s", request["tenant_id"]):
        held.setdefault(one["person_id"], set()).add(one["role"])
    escalation = request["verdict"].get("escalation") or {}
    votes = rows(
        shell,
        "SELECT * FROM vote WHERE request_id = %s AND revision = %s AND decision = 'approve'",
        request["id"],
        request["revision"],
    )
    for vote in votes:
        who, whom = vote["person_id"], vote["instead_of_id"] or vote["person_id"]
        if not {who, whom} <= people or {who, whom} & _interested(request) or who not in held:
            continue
        proved = vote["proved_at"] and (vote["created_at"] - vote["proved_at"]).total_seconds() <= 300
        if request["verdict"]["step_up"] and not proved:
            continue
        if who != whom and not any(_stands_in(one, who, whom, vote["created_at"]) for one in delegations):
            continue
        roles = held.get(whom, set()) - (NOT_FOR_OTHERS if who != whom else set())
        late = request["escalated_at"] and request["escalated_at"] <= vote["created_at"]
        if late and escalation.get("to") in roles:
            roles = roles | {stage["role"] for stage in request["verdict"]["stages"]}
        yield Voice(who, whom, vote["created_at"], frozenset(roles))


def _stands_in(delegation: Row, who: UUID, whom: UUID, at: datetime) -> bool:
    ends = delegation["ended_at"] or delegation["ends_at"]
    pair = (delegation["delegate_id"], delegation["delegator_id"])
    return pair == (who, whom) and delegation["starts_at"] <= at < ends


def _agreed(
    steps: Sequence[Sequence[str]], voices: Sequence[Voice], ties: Sequence[Row], request: Row
) -> bool:
    """Whether some of these voices fill all places: step after step in time, and no two of them count as one."""
    places = [(number, role) for number, roles in enumerate(steps) for role in roles]
    for chosen in combinations(voices, len(places)):
        if any(_one(a, b, ties, request) for a, b in combinations(chosen, 2)):
            continue
        for order in permutations(chosen):
            if all(role in voice.roles for (_, role), voice in zip(places, order, strict=True)) and _in_time(
                [(number, voice.at) for (number, _), voice in zip(places, order, strict=True)]
            ):
                return True
    return False


def _in_time(cast: Sequence[tuple[int, datetime]]) -> bool:
    return all(a[1] < b[1] for a in cast for b in cast if a[0] < b[0])


def _one(a: Voice, b: Voice, delegations: Sequence[Row], request: Row) -> bool:
    """Whether both are of one person, or one stood in for the other while this revision was decided."""
    if {a.who, a.whom} & {b.who, b.whom}:
        return True
    return any(
        {one["delegator_id"], one["delegate_id"]} & {a.who, a.whom}
        and {one["delegator_id"], one["delegate_id"]} & {b.who, b.whom}
        and one["starts_at"] <= max(a.at, b.at)
        and (one["ended_at"] or one["ends_at"]) > max(request["facts_read_at"], one["starts_at"])
        for one in delegations
    )
