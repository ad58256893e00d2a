"""Stylesheets, scripts and fonts, whole: they are small."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from whitenoise.base import StaticFile
from whitenoise.middleware import WhiteNoiseMiddleware


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]
    """WhiteNoise streams by a plain iterator, of which Django warns under ASGI before it reads it whole anyway."""

    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> HttpResponseBase:
        streamed = WhiteNoiseMiddleware.serve(static_file, request)
        try:
            whole = HttpResponse(b"".join(streamed), status=streamed.status_code)
        finally:
            streamed.close()
        whole.headers = streamed.headers
        return whole
