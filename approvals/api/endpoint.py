"""What all endpoints have in common: who may come in, in which order that is asked, and what each answer carries."""

from typing import Any, TypeVar

from django.http import HttpRequest
from rest_framework.authentication import CSRFCheck
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from approvals import limits
from approvals.api.bodies import body_of, check_type
from approvals.api.callers import Caller, caller_of
from approvals.api.shapes.strict import Strict, checked
from approvals.errors import MethodNotAllowed, NotAuthenticated, NotFromOurPages, TokenNeverDecides
from approvals.identity.requester import Requester

SAFE = ("GET", "HEAD", "OPTIONS")
S = TypeVar("S", bound=Strict)


class Endpoint(APIView):
    """One address. `wanted` names it in the log and on the trail; a subclass has a method for each verb of HTTP."""

    wanted = ""
    http_method_names = ["get", "head", "post", "options"]
    renderer_classes = (JSONRenderer,)
    parser_classes = (JSONParser,)  # as the document says; bodies.py reads
    authentication_classes = permission_classes = throttle_classes = ()  # `initial` asks
    caller: Caller | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """From the outside in: the method, what is accepted, who asks, how often, whether they may change anything."""
        self._check_method(request)
        super().initial(request, *args, **kwargs)
        if request.method == "OPTIONS":
            return
        asked: HttpRequest = request._request
        self.caller = caller_of(asked)
        limits.check_api_call(self.caller.id)
        if request.method not in SAFE:
            self._check_in_person(asked)

    def perform_authentication(self, request: Request) -> None:
        """The library's way would put nobody in the place of who is signed in; `initial` asks."""

    def _check_method(self, request: Request) -> None:
        """Raises MethodNotAllowed."""
        methods = [one for one in self.allowed_methods if one != "OPTIONS"]
        if request.method != "OPTIONS" and request.method not in methods:
            raise MethodNotAllowed(methods=" and ".join(methods))

    def _check_in_person(self, request: HttpRequest) -> None:
        """What changes something is for a browser's session alone: a token is refused before its body is read.

        Raises TokenNeverDecides, BodyNotJson or NotFromOurPages.
        """
        if self.who.agent is not None:
            raise TokenNeverDecides
        check_type(request)  # else the check below would read a form
        check = CSRFCheck(lambda _: None)  # type: ignore[arg-type] # it answers nothing
        check.process_request(request)
        if check.process_view(request, None, (), {}):  # type: ignore[arg-type]
            raise NotFromOurPages

    @property
    def who(self) -> Caller:
        """Who was let in. Raises NotAuthenticated where nobody was asked for it."""
        if self.caller is None:
            raise NotAuthenticated
        return self.caller

    @property
    def agent(self) -> Requester:
        """The agent, where one asks. Raises NotAuthenticated."""
        if self.who.agent is None:
            raise NotAuthenticated
        return self.who.agent

    def asked(self, shape: type[S]) -> dict[str, Any]:
        """What the address asks for. Raises FieldsWrong."""
        return checked(shape, self.request.query_params)

    def sent(self, shape: type[S]) -> dict[str, Any]:
        """What the body says. Raises BodyTooLarge, BodyNotJson, BodyUnreadable or FieldsWrong."""
        return checked(shape, body_of(self.request._request))

    def nothing_sent(self) -> None:
        """For what needs no body: whatever is in one is refused. Raises what `sent` raises."""
        self.sent(Strict)

    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        """What there is to ask, in `Allow`. No other origin is let in (CORS)."""
        return Response(status=204)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def shown(shape: type[Serializer[Any]], of: object, status: int = 200, **headers: str) -> Response:
    """`of` in this shape."""
    return Response(shape(of).data, status=status, headers=headers or None)
