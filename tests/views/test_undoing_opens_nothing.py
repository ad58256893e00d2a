"""An undoing repeats what the request before it had: that must be no way past the break-glass reading of it."""

import pytest

from approvals import undo_order
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest
from tests.sealing import MARKS, moved
from tests.undoing import REASON, file
from tests.views.conftest import SignIn
from tests.world import World


def marks_on_page(sign_in: SignIn, who: str, request: ApprovalRequest) -> list[str]:
    shown = sign_in(who).get(f"/requests/{request.pk}/").content.decode()
    return [mark for mark in MARKS if mark in shown]


def ordered(web: World, sign_in: SignIn, who: str, request: ApprovalRequest) -> ApprovalRequest:
    """What this person asked for on the page, as a worker filed it."""
    sign_in(who).post(f"/requests/{request.pk}/undo/", {"reason": REASON})
    with web.processes.acting_as("worker"):
        undo_order.file(request.pk, request.tenant_id)
    with tenant_scope(web.tenant.pk):
        return ApprovalRequest.objects.get(undoes=request)


def test_whoever_asks_for_it_is_not_shown_what_was(web: World, sign_in: SignIn) -> None:
    request = moved(web)
    filed = ordered(web, sign_in, "opal", request)
    assert marks_on_page(sign_in, "opal", filed) == []
    assert "only those who decide on it" in sign_in("opal").get(f"/requests/{filed.pk}/").content.decode()


@pytest.mark.parametrize(("who", "sees"), [("lena", True), ("paul", False), ("ada", False)])
def test_it_is_shown_whole_to_those_who_decide_on_it(
    web: World, sign_in: SignIn, who: str, sees: bool
) -> None:
    filed = file(web, moved(web)).request
    assert bool(marks_on_page(sign_in, who, filed)) == sees
