"""What is refused, as RFC 9457 says it: `application/problem+json` with the `code` and the sentence of the refusal.

`type` leads to the page about the API, which lists every code. Further members are those that a program acts on.
"""

import logging
from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost, SuspiciousOperation, TooManyFieldsSent
from rest_framework import exceptions
from rest_framework.response import Response

from approvals import errors
from approvals.api import told
from approvals.errors import CountersignError, Refusal

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

# RFC 9110, section 15.5: 401 for who is not known, 403 for who you are, 404 for what is not there, 409 for what has
# happened meanwhile, 422 for what you wrote; RFC 6585: 429 for how often.
STATUS_OF: dict[type[CountersignError], int] = {
    errors.RequestUnreadable: 400,
    errors.BodyUnreadable: 400,
    errors.NotAuthenticated: 401,
    errors.TokenRefused: 401,
    errors.TokenNeverDecides: 403,
    errors.NotFromOurPages: 403,
    errors.NoCompany: 403,
    errors.PeopleOnly: 403,
    errors.AuditorsOnly: 403,
    errors.OperatorsOnly: 403,
    errors.OperatorOnly: 403,
    errors.SwitchedOff: 403,
    errors.SelfApproval: 403,
    errors.NotEntitled: 403,
    errors.PolicyForbids: 403,
    errors.RequestAltered: 403,
    errors.StepUpNeeded: 403,
    errors.NotFound: 404,
    errors.NothingHere: 404,
    errors.MethodNotAllowed: 405,
    errors.NotAcceptable: 406,
    errors.MoveRefused: 409,
    errors.PageOutdated: 409,
    errors.AlreadyVoted: 409,
    errors.BudgetExceeded: 409,
    errors.BudgetsBusy: 409,
    errors.BudgetsUnknown: 409,
    errors.NotYourTurn: 409,
    errors.PlacesTaken: 409,
    errors.CountedAlready: 409,
    errors.PayloadUnreadable: 409,
    errors.PayloadErased: 409,
    errors.StoppedAlready: 409,
    errors.WentOnAlready: 409,
    errors.BodyTooLarge: 413,
    errors.BodyNotJson: 415,
    errors.FieldsWrong: 422,
    errors.CommentMissing: 422,
    errors.CommentTooLong: 422,
    errors.ReasonMissing: 422,
    errors.SearchPageUnknown: 422,
    errors.LimitReached: 429,
    errors.BrokenHere: 500,
}
TOLD = ("errors", "seconds", "review_url")  # the details that a program acts on


def problem(refusal: CountersignError, instance: str, page: str = "") -> dict[str, Any]:
    """RFC 9457, section 3.1; `instance` is the path that was asked, `page` where the codes are listed."""
    extra = {name: refusal.details[name] for name in TOLD if name in refusal.details}
    return {
        "type": f"{page or settings.API_URL}/#{refusal.code}",
        "title": refusal.code.replace("_", " ").capitalize(),
        "status": status_of(refusal),
        "detail": str(refusal),
        "instance": instance,
        "code": refusal.code,
        **extra,
    }


def status_of(refusal: CountersignError) -> int:
    """Of a refusal that nobody thought of here: it was refused as things are."""
    found = next((STATUS_OF[kind] for kind in type(refusal).__mro__ if kind in STATUS_OF), None)
    return found or (409 if isinstance(refusal, Refusal) else 500)


def answer(error: Exception, context: dict[str, Any]) -> Response:
    """The library's hook for whatever an endpoint raises. What nobody foresaw is logged, and nothing of it is said."""
    refusal = _ours(error)
    request, view = context["request"], context["view"]
    told.refused(refusal, status_of(refusal), view)
    said = problem(refusal, request.path)
    return Response(
        said, status=said["status"], headers=_headers(refusal, sent=bool(request.headers.get("Authorization"))),
        content_type=MEDIA_TYPE,
    )  # fmt: skip


def _ours(error: Exception) -> CountersignError:
    if isinstance(error, CountersignError):
        return error
    if isinstance(error, exceptions.NotAcceptable):
        return errors.NotAcceptable()
    if isinstance(error, SuspiciousOperation):
        return unreadable(error)
    logger.error("the API broke", exc_info=error)
    return errors.BrokenHere()


def unreadable(error: Exception) -> errors.RequestUnreadable:
    """What Django itself takes for no request of ours: it has been answered, and is no failure."""
    if isinstance(error, DisallowedHost):
        return errors.RequestUnreadable(problem=f"it was sent to another name than {settings.PUBLIC_URL}")
    if isinstance(error, TooManyFieldsSent):
        return errors.RequestUnreadable(problem="it has more parameters than there are")
    return errors.RequestUnreadable(problem="it is not written as it has to be")


def _headers(refusal: CountersignError, *, sent: bool) -> dict[str, str]:
    found = {}
    if status_of(refusal) == 401:
        found["WWW-Authenticate"] = challenge(refusal, sent=sent)
    if "seconds" in refusal.details:
        found["Retry-After"] = str(refusal.details["seconds"])
    return found


def challenge(refusal: CountersignError, *, sent: bool) -> str:
    """RFC 6750, section 3, and RFC 9728: where to get a token, for what, and what was wrong with one that was sent."""
    wanted = {"realm": "countersign"}
    if sent:
        wanted |= {"error": "invalid_token", "error_description": str(refusal)}
    if not settings.TOKEN_ISSUER:
        wanted |= {"resource_metadata": metadata_url(), "scope": "approvals:read"}
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in wanted.items())


def metadata_url() -> str:
    """Where the API's metadata is: the well-known name goes before the resource's path (RFC 9728, section 3.1)."""
    return f"{settings.PUBLIC_URL}/.well-known/oauth-protected-resource/api"
