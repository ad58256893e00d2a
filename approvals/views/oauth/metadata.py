"""Authorization Server Metadata (RFC 8414): the library's, and what it leaves out."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from oauth2_provider.views.metadata import OAuthServerMetadataView


class MetadataView(OAuthServerMetadataView):
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        told = json.loads(super().get(request, *args, **kwargs).content)  # type: ignore[no-untyped-call]
        # RFC 8628, section 4
        device = self._get_endpoint_url(request, "device-authorization")  # type: ignore[no-untyped-call]
        if device:
            told["device_authorization_endpoint"] = device
        return JsonResponse(told, headers={"Access-Control-Allow-Origin": "*"})
