"""The OpenAPI document as it is served, and the metadata by which a program finds where to get a token (RFC 9728)."""

from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from rest_framework.request import Request

from approvals.api.endpoint import Endpoint
from approvals.api.shapes.strict import Strict
from approvals.identity.scopes import API_READ

YAML = "application/yaml"  # RFC 9512


class DocumentEndpoint(Endpoint):
    """For everybody: it says what there is, and nothing of anybody."""

    wanted = "schema"
    http_method_names = ["get", "head", "options"]
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Nobody is asked who they are, nor what they accept."""
        self._check_method(request)
        self.asked(Strict)

    def get(self, _request: Request) -> HttpResponse:
        return HttpResponse(written(), content_type=YAML, headers={"Cache-Control": "public, max-age=300"})


@lru_cache(maxsize=1)
def written() -> bytes:
    """The whole document; the same for everybody, and as long as the process lives."""
    made = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return bytes(OpenApiYamlRenderer().render(made, renderer_context={}))  # type: ignore[no-untyped-call]


@require_safe
def metadata(_request: HttpRequest) -> HttpResponse:
    """RFC 9728. Public, and for scripts of any origin, as that of the authorization server."""
    told = {
        "resource": settings.API_URL,
        "authorization_servers": [settings.PUBLIC_URL],
        "scopes_supported": [API_READ],
        "bearer_methods_supported": ["header"],
        "resource_name": "Countersign REST API",
    }
    return JsonResponse(told, headers={"Access-Control-Allow-Origin": "*"})
