"""What is refused outside of every endpoint: before one is found, or around it. Pages keep their own handlers."""

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.log import log_response

from approvals.api.problems import MEDIA_TYPE, problem, unreadable
from approvals.errors import BrokenHere, CountersignError

PREFIX = "/api/v1/"
Handler = Callable[..., HttpResponse]


def bad_request(page: Handler) -> Handler:
    """Django's `handler400`: what it takes for no request of ours, such as one to another name."""

    @wraps(page)
    def handled(request: HttpRequest, exception: Exception) -> HttpResponse:
        if not request.path_info.startswith(PREFIX):
            return page(request, exception)
        # Django's own line is off for another name (settings.LOGGING): it quotes the name.
        answer = _said(unreadable(exception), request)
        log_response("the API was asked what cannot be taken", response=answer, request=request)
        return answer

    return handled


def broken(page: Handler) -> Handler:
    """Django's `handler500`; asks nothing of the database, which may be what broke. Django has logged it."""

    @wraps(page)
    def handled(request: HttpRequest) -> HttpResponse:
        return _said(BrokenHere(), request) if request.path_info.startswith(PREFIX) else page(request)

    return handled


def _said(refusal: CountersignError, request: HttpRequest) -> HttpResponse:
    said = problem(refusal, request.path)
    headers = {"Cache-Control": "no-store"}
    return JsonResponse(said, status=said["status"], headers=headers, content_type=MEDIA_TYPE)
