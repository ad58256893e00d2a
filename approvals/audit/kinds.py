"""Every kind of event, what it means to somebody who reads the trail, and which process records it.

A kind is never renamed or removed: old events carry it, sealed. The database holds each process to its kinds (a
trigger calls the function below): one that was taken over cannot forge another's part of a story. After adding a
kind, add a migration that runs `own_kinds()` again.
"""

from typing import Literal

from approvals.database import role

KINDS: dict[str, str] = {
    "request.created": "A request for approval was filed.",
    "request.repeated": "The same request came again under its key; nothing new was filed.",
    "request.refused": "A request was refused before anybody was asked.",
    "request.withdrawn": "The requester took the request back.",
    "request.expired": "Nobody finished the request in time.",
    "request.approved": "The request was approved.",
    "request.denied": "The request was denied.",
    "request.changes_requested": "A reviewer asked the agent for changes.",
    "request.revised": "The requester changed the request as asked; the votes start again.",
    "undo.asked": "A person asked for what was done to be undone; a worker looks it up and files the request.",
    "undo.refused": "What a person had asked to be undone was refused; no request was filed.",
    "request.stale": "What was approved is no longer true; the reviewers must look again.",
    "request.reopened": "A stale request went back to its reviewers.",
    "request.rejudged": "A rule looked at the request again; what it saw or said had changed.",
    "request.reminded": "Half of the time to decide was over and nobody was at it; the receivers were told again.",
    "request.escalated": "Nobody decided in the time that the rule gives; others may decide now, too.",
    "claim.taken": "A reviewer is looking at the request.",
    "claim.released": "A reviewer is no longer looking at the request.",
    "delegation.made": "A person said who stands in for them while they are out of office.",
    "delegation.ended": "A person is back in office; nobody stands in for them by that any more.",
    "remark.made": "Somebody said something about the request to their colleagues.",
    "request.look_asked": "A reviewer asked for the facts to be looked up once more.",
    "request.looked_up": "The facts were looked up once more; its event says whether they differ.",
    "vote.cast": "A reviewer voted.",
    "vote.refused": "A vote was refused and does not count.",
    "request.break_glass": "One person pushed the request through alone; everybody who watches was told.",
    "break_glass.refused": "Pushing a request through alone was refused.",
    "break_glass.reviewed": "Somebody else said whether pushing the request through alone was justified.",
    "execution.claimed": "A worker took the approved action on.",
    "execution.sent": "The action is about to be sent to the backing API.",
    "execution.succeeded": "The backing API performed the action.",
    "execution.failed": "The action was not carried out; its event says why.",
    "execution.uncertain": "No answer came; whether the action happened is not known yet.",
    "execution.reconciled": "The backing API was asked what became of an uncertain action.",
    "execution.stays_uncertain": "An action stayed uncertain for too long; operators were told, once.",
    "execution.settled": "People settled an uncertain action by hand, under four eyes.",
    "notification.delivered": "Somebody outside was told.",
    "notification.failed": "Somebody outside could not be told.",
    "notification.dropped": "A message was not sent: nothing was left to tell.",
    "notification.sent_again": "An operator had a message sent again, under the same id.",
    "mail.chosen": "A person chose what they are written.",
    "receiver.added": "Somebody is told of what happens here from now on.",
    "receiver.changed": "An operator chose what a receiver hears.",
    "receiver.switched_off": "An operator switched a receiver off; it hears no more.",
    "receiver.switched_on": "An operator switched a receiver on again.",
    "receiver.secret_renewed": "A receiver has a new secret.",
    "receiver.secret_ended": "An operator ended the time in which a receiver's earlier secret counted as well.",
    "receiver.tested": "An operator had a test sent to a receiver.",
    "access.denied": "An access was denied.",
    "access.turned_away": "Calls were turned away, by the door, the OAuth server or the API; counted, once a minute.",
    "limit.reached": "An agent reached a limit and was told when to come back; counted, once a minute.",
    "session.signed_in": "A person signed in.",
    "session.sign_in_failed": "A sign-in was refused.",
    "session.locked": "Too many wrong passwords: for a while no sign-in is tried from there; counted, once a minute.",
    "session.proved": "A person proved once more who they are, or with a second factor.",
    "session.proof_failed": "A person could not prove who they are with a second factor.",
    "person.sso_linked": "A person's account was tied to who they are at the company's own sign-in.",
    "factor.added": "A person added a second factor, or recovery codes.",
    "factor.removed": "A second factor, or recovery codes, are gone.",
    "person.added": "An operator added a person, or gave one a role.",
    "person.role_taken": "An operator took a role from a person.",
    "agent.added": "An operator added an agent.",
    "agent.secret_renewed": "An operator gave an agent a new secret; the old one and its tokens are worth nothing.",
    "agent.removed": "An operator removed an agent; its tokens are revoked.",
    "agent.connected": "A person let a program ask in their name.",
    "agent.disconnected": "A person took back what they had let a program do; its tokens are revoked.",
    "client.registered": "A program made itself known to the OAuth server. It may not do anything yet.",
    "consent.refused": "A person did not let a program ask in their name.",
    "token.revoked": "A token was handed back.",
    "token.replayed": "A code or a refresh token came a second time; everything issued from it is revoked.",
    "switch.turned_on": "An operator stopped something.",
    "switch.turned_off": "An operator let it go on again.",
    "execution.held": "A switch is on, so the approved action was not carried out yet.",
    "execution.postponed": "The hours for carrying it out were over, so the approved action waits for the next.",
    "request.extended": "A switch had held the request; its deadline moved on by that time.",
    "canary.turned_on": "An operator turned exercises for reviewers on.",
    "canary.turned_off": "An operator turned exercises for reviewers off.",
    "canary.filed": "An exercise was filed: made up, to be denied, and never carried out.",
    "canary.caught": "A reviewer saw what was wrong with an exercise.",
    "canary.missed": "A reviewer approved an exercise. It ended there; nothing was done.",
    "policy.proposed": "A person proposed a policy version. It is not in force.",
    "policy.activated": "A policy version came into force.",
    "policy.error": "A rule could not be worked out, so people decide; operators were told, once an hour at most.",
    "audit.push_lags": "Checkpoints have been on their way to a place outside for too long; the log told operators.",
    "audit.push_conflict": "A place outside holds something else than this trail's checkpoint; it was not overwritten.",
    "trail.read": "An auditor or an operator read the trail.",
    "trail.searched": "An auditor searched the trail.",
    "trail.exported": "An auditor took events of the trail away as a file.",
    "trail.verification_asked": "An auditor asked for the trail to be verified.",
    "trail.verified": "The trail was verified; its event says what was found.",
    "personal.erased": "Personal values were erased from the trail; what was recorded can still be proved.",
    "payload.opened": "A person opened the full payload of a finished request; everybody who watches was told.",
    "payload.refused": "Opening a full payload was refused.",
    "payload.erased": "Payloads were erased: their time was over, or somebody had asked for it. Events stay.",
    "payload.rekeyed": "Payloads are sealed with another key.",
    "seed.loaded": "The data to start with was loaded.",
}

KINDS_OF: dict[str, frozenset[str]] = {
    "door": frozenset(
        {
            "request.created",
            "request.repeated",
            "request.refused",
            "request.withdrawn",
            "request.revised",
            "access.denied",
            "access.turned_away",
            "limit.reached",
        }
    ),
    "web": frozenset(
        {
            "vote.cast",
            "vote.refused",
            "request.created",
            "request.repeated",
            "request.refused",
            "request.withdrawn",
            "undo.asked",
            "limit.reached",
            "policy.proposed",
            "claim.taken",
            "claim.released",
            "remark.made",
            "request.look_asked",
            "delegation.made",
            "delegation.ended",
            "request.break_glass",
            "break_glass.refused",
            "break_glass.reviewed",
            "payload.opened",
            "payload.refused",
            "request.approved",
            "request.denied",
            "canary.caught",
            "canary.missed",
            "request.changes_requested",
            "access.denied",
            "access.turned_away",
            "session.signed_in",
            "session.sign_in_failed",
            "session.locked",
            "session.proved",
            "session.proof_failed",
            "person.sso_linked",
            "factor.added",
            "factor.removed",
            "agent.connected",
            "agent.disconnected",
            "client.registered",
            "consent.refused",
            "token.revoked",
            "token.replayed",
            "switch.turned_on",
            "switch.turned_off",
            "trail.read",
            "trail.searched",
            "trail.exported",
            "trail.verification_asked",
            "receiver.added",
            "receiver.changed",
            "receiver.switched_off",
            "receiver.switched_on",
            "receiver.secret_renewed",
            "receiver.secret_ended",
            "receiver.tested",
            "notification.sent_again",
            "mail.chosen",
        }
    ),
    "worker": frozenset(
        {
            "request.created",
            "request.repeated",
            "request.refused",
            "limit.reached",
            "undo.refused",
            "request.looked_up",
            "request.approved",
            "request.stale",
            "request.reopened",
            "request.rejudged",
            "execution.claimed",
            "execution.held",
            "execution.postponed",
            "execution.sent",
            "execution.succeeded",
            "execution.failed",
            "execution.uncertain",
            "execution.reconciled",
            "execution.settled",
            "policy.activated",
            "notification.delivered",
            "notification.failed",
            "notification.dropped",
            "policy.error",
        }
    ),
    "sweeper": frozenset(
        {
            "request.expired",
            "request.extended",
            "request.escalated",
            "request.reminded",
            "execution.stays_uncertain",
            "payload.erased",
            "audit.push_lags",
            "audit.push_conflict",
            "trail.verified",
        }
    ),
    "migrator": frozenset(
        {
            "seed.loaded",
            "policy.activated",
            "person.added",
            "person.role_taken",
            "factor.removed",
            "agent.added",
            "agent.secret_renewed",
            "agent.removed",
            "client.registered",
            "receiver.added",
            "switch.turned_on",
            "switch.turned_off",
            "canary.turned_on",
            "canary.turned_off",
            "canary.filed",
            "personal.erased",
            "payload.erased",
            "payload.rekeyed",
        }
    ),
}

_ACTOR_OF: dict[str, Literal["agent", "person", "system"]] = {
    "door": "agent",
    "web": "person",
    "worker": "system",
    "sweeper": "system",
    "migrator": "system",
}

# Told by a process itself: nobody has shown who they are, or it counts what many did.
_BY_ITSELF = frozenset(
    {
        "session.sign_in_failed",
        "session.locked",
        "session.proof_failed",
        "access.turned_away",
        "limit.reached",
        "client.registered",
        "token.revoked",
        "token.replayed",
    }
)

# What a person has ordered on a page and a worker files for them (`undo_order.py`).
_FOR_PEOPLE = frozenset({"request.created", "request.repeated", "request.refused"})


def actor_kind_of(process: str, kind: str) -> Literal["agent", "person", "system"]:
    """For whom a process records a kind: `agent`, `person` or `system`."""
    if process == "worker" and kind in _FOR_PEOPLE:
        return "person"
    return "system" if kind in _BY_ITSELF else _ACTOR_OF[process]


def own_kinds() -> str:
    """SQL of the trigger's function, as the registry is now."""
    records = ", ".join(
        f"('{role(process).strip(chr(34))}', '{kind}', '{actor_kind_of(process, kind)}')"
        for process, kinds in sorted(KINDS_OF.items())
        for kind in sorted(kinds)
    )
    return f"""
CREATE OR REPLACE FUNCTION audit_own_kinds() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (current_user::text, NEW.kind, NEW.actor_kind) IN (VALUES {records}) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% may not record % by %', current_user, NEW.kind, NEW.actor_kind
        USING ERRCODE = 'insufficient_privilege';
END $$;
"""


class UnknownKind(ValueError):
    """The kind of event is not in the registry."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"{kind!r} is not a registered kind of event.")


def check_kind(kind: str) -> None:
    """Raise UnknownKind unless the kind is registered."""
    if kind not in KINDS:
        raise UnknownKind(kind)
