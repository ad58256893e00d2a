"""What would undo a request that was carried out: its action's inverse, and the arguments that put back what was."""

from pydantic import ValidationError

from approvals import actions
from approvals.actions.contract import NotReversible, Receipt
from approvals.database import tenant_scope
from approvals.errors import (
    Irreversible,
    NotFound,
    NothingDone,
    NothingToPutBack,
    PayloadErased,
    PayloadUnreadable,
    Refusal,
)
from approvals.models import ApprovalRequest, UndoOrder
from approvals.models.requests import UNDOING
from approvals.payloads import canonical
from approvals.states import Status

_OTHER_FORM = "it was asked for in a form that is no longer read."
_GONE = "what it had asked for is no longer kept, or cannot be opened."

OPERATOR = "operator"


def to_undo(request: ApprovalRequest) -> tuple[str, dict[str, object]]:
    """The name of the action that undoes a request, and its arguments without a reason.

    Raises NothingDone, Irreversible or NothingToPutBack.
    """
    if request.status != Status.SUCCEEDED:
        raise NothingDone(status=request.status.replace("_", " "))
    try:
        action, arguments = undoing(request)
    except (PayloadErased, PayloadUnreadable) as error:
        raise NothingToPutBack(because=_GONE) from error
    return action.name, arguments


def roles_that_undo(request: ApprovalRequest) -> frozenset[str]:
    """Which people may ask for it: operators, and who answers for the action."""
    try:
        return frozenset({OPERATOR, actions.get(request.action).owner})
    except NotFound:
        return frozenset({OPERATOR})


def is_being_undone(request: ApprovalRequest) -> bool:
    """Whether it was asked for before and has not come to nothing. In a scope of its tenant."""
    asked = request.undone_by.filter(status__in=UNDOING)
    return asked.exists() or UndoOrder.objects.filter(request=request, answered_at=None).exists()


def can_be_undone(request: ApprovalRequest) -> bool:
    """Whether it can be asked for now. In a scope of its tenant."""
    try:
        to_undo(request)
    except Refusal:
        return False
    return not is_being_undone(request)


def undoing(request: ApprovalRequest) -> tuple[actions.AnyAction, dict[str, object]]:
    """The inverse action, and its arguments without a reason.

    Raises Irreversible, NothingToPutBack, NotFound, PayloadErased or PayloadUnreadable.
    """
    try:
        return _undoing(request)
    except ValidationError as error:
        raise NothingToPutBack(because=_OTHER_FORM) from error


def _undoing(request: ApprovalRequest) -> tuple[actions.AnyAction, dict[str, object]]:
    action = actions.get(request.action)
    if isinstance(action.inverse, NotReversible):
        raise Irreversible(because=action.inverse.because)
    arguments = action.arguments.model_validate_json(request.arguments)
    facts = action.facts.model_validate_json(request.facts)
    receipt = Receipt(request.backing_reference, request.outcome)
    return actions.get(action.inverse), dict(action.undo(arguments, facts, receipt))


def undone(request: ApprovalRequest) -> ApprovalRequest:
    """The request that this one undoes. Raises LookupError where it undoes none."""
    with tenant_scope(request.tenant_id):
        if (found := request.undoes) is None:
            raise LookupError("it undoes nothing")
        return found


def why_not(action: str) -> str:
    """Why nothing undoes this action, in a sentence; "" where something does."""
    try:
        inverse = actions.get(action).inverse
    except NotFound:
        return "This action is no longer offered."
    return inverse.because if isinstance(inverse, NotReversible) else ""


def puts_back(request: ApprovalRequest) -> bool:
    """Whether a request is known to ask for exactly what undoes the one that it is linked to.

    It always does, unless a door that was taken over has filed it, or the action is another one since. Raises
    PayloadErased or PayloadUnreadable where that cannot be told.
    """
    try:
        return asks_exactly(request)
    except (PayloadErased, PayloadUnreadable):
        raise
    except (Refusal, ValidationError):
        return False


def asks_exactly(request: ApprovalRequest) -> bool:
    """The same, for whoever says why. Where nothing can be compared any more, it raises besides: NotFound or
    Irreversible where the action is no longer offered or undone, ValidationError where it has another form now.
    """
    try:
        action, arguments = _undoing(undone(request))
    except NothingToPutBack:
        return False
    asked = actions.get(request.action).arguments.model_validate_json(request.arguments)
    exact = action.arguments.model_validate({**arguments, "reason": asked.reason})
    return request.action == action.name and canonical(asked) == canonical(exact)
