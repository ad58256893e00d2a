"""Requests, votes, executions, policy versions, and what must still leave the database: one file a subject.

Constraints only: the workflow lives in `submit.py`, `decide.py` and `execute.py`, and nobody else assigns
`status`. Money is in minor units of an ISO 4217 currency; times are UTC.
"""

from approvals.models.activations import PolicyActivation
from approvals.models.break_glass import BreakGlass, BreakGlassReview
from approvals.models.canaries import CanarySetting
from approvals.models.claims import Claim
from approvals.models.delegations import Delegation
from approvals.models.executions import Execution
from approvals.models.fresh_looks import FreshLook
from approvals.models.messages import MailChoice, Outbox, Receiver, ReceiverSecret, SlackCard
from approvals.models.payload_readings import PayloadReading
from approvals.models.policies import PolicyVersion
from approvals.models.remarks import Remark
from approvals.models.requests import ApprovalRequest
from approvals.models.reservations import Reservation
from approvals.models.revisions import Revision
from approvals.models.saved_views import SavedView
from approvals.models.settlements import Settlement
from approvals.models.switches import Switch
from approvals.models.troubles import PolicyTrouble
from approvals.models.undoing import UndoOrder
from approvals.models.verifications import Verification
from approvals.models.votes import Vote

__all__ = [
    "ApprovalRequest",
    "BreakGlass",
    "BreakGlassReview",
    "CanarySetting",
    "Claim",
    "Delegation",
    "Execution",
    "FreshLook",
    "MailChoice",
    "Outbox",
    "PayloadReading",
    "PolicyActivation",
    "PolicyTrouble",
    "PolicyVersion",
    "Receiver",
    "ReceiverSecret",
    "Remark",
    "Reservation",
    "Revision",
    "SavedView",
    "Settlement",
    "SlackCard",
    "Switch",
    "UndoOrder",
    "Verification",
    "Vote",
]
