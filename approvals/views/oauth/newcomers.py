"""Programs that arrive with a metadata document for the first time: each is a look outside, a row and an event."""

from math import ceil

from django.http import HttpRequest
from oauth2_provider.cimd import is_cimd_client_id

from approvals.errors import TooManyPrograms
from approvals.identity.models import Application
from approvals.views.oauth.rates import HOUR, Window, take
from approvals.views.oauth.tenants import person_of

MOST_NEW = 20  # an hour, by one person, also of those whose document is not taken


def check_newcomer(request: HttpRequest) -> None:
    """Count a program that is not known yet; raises TooManyPrograms with the minutes until one more may come."""
    client_id = request.GET.get("client_id") or request.POST.get("client_id", "")
    if not is_cimd_client_id(client_id) or Application.objects.filter(client_id=client_id).exists():  # type: ignore[no-untyped-call]
        return
    if seconds := take(Window("new_program", str(person_of(request).pk), MOST_NEW, HOUR)):
        raise TooManyPrograms(minutes=ceil(seconds / 60))
