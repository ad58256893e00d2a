"""Every tool with its release gate, and a way to stop it: the switch itself is turned in `operator.py`."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from approvals import switches
from approvals.identity.requester import Reviewer
from approvals.queries import allowed
from approvals.queries.tools import tools
from approvals.views.access import member, operators_only, show

operator = operators_only(
    "tools", gettext_lazy("The tools are for operators. Your roles here do not include operator.")
)


@require_safe
@member
@operator
def tools_page(request: HttpRequest, by: Reviewer) -> HttpResponse:
    allowed(by, wanted="tools")
    may = {
        "may_stop_here": switches.OPERATOR in by.roles,
        "may_stop_everywhere": switches.PLATFORM_OPERATOR in by.roles,
    }
    return show(request, "operator/tools.html", {"it": tools(by), **may})
