"""What a browser is told of every answer, beside what Django and django-csp tell it."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

# Nothing here needs a camera, a place or a payment handler; a passkey needs its two (W3C, Permissions Policy).
OFF = (
    *("accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "fullscreen"),
    *("geolocation", "gyroscope", "hid", "idle-detection", "magnetometer", "microphone", "midi", "payment"),
    *("picture-in-picture", "screen-wake-lock", "serial", "usb", "xr-spatial-tracking"),
)
OURS = ("publickey-credentials-create", "publickey-credentials-get")
PERMISSIONS = ", ".join([*(f"{one}=()" for one in OFF), *(f"{one}=(self)" for one in OURS)])


class HeadersMiddleware:
    """Sets Permissions-Policy, and that no foreign page loads anything of ours (Fetch, section 3.7)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response
