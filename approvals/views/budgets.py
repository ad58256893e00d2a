"""How much of each budget is used, for operators and auditors. Nothing is changed here: a policy says what a cap is."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from approvals import switches
from approvals.errors import BudgetsUnknown
from approvals.identity.requester import Reviewer
from approvals.queries import allowed, capped, denied, spent
from approvals.queries.trail import AUDITOR
from approvals.views.access import member, show


@require_safe
@member
def budgets_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    """Raises PermissionDenied, leaving an event, for anybody else."""
    if not (switches.may_operate(by) or AUDITOR in by.roles):
        denied(by, wanted="budgets", code="role_missing")
        raise PermissionDenied(
            _("Budgets are for operators and auditors. Your roles here do not include one.")
        )
    allowed(by, wanted="budgets")
    try:
        context = {"page": spent(by, after=request.GET.get("after", "")), "caps": capped(by)}
    except BudgetsUnknown:
        context = {}
    return show(request, "operator/budgets.html", context)
