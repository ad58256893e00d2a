"""A program on a terminal, as it talks to the OAuth server (RFC 8628); over Django's test client."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.oauth.programs import outsider

GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True)
class Terminal:
    client_id: str

    def begin(self, **changes: Any) -> Any:
        form = {"client_id": self.client_id, "scope": "mcp:read mcp:request", **changes}
        return _posted("/o/device-authorization/", form)

    def began(self, **changes: Any) -> dict[str, Any]:
        answer = self.begin(**changes)
        assert answer.status_code == 200, answer.content
        return dict(answer.json())

    def poll(self, code: str, **changes: Any) -> Any:
        form = {"grant_type": GRANT, "device_code": code, "client_id": self.client_id, **changes}
        return _posted("/o/token/", form)


def _posted(path: str, form: dict[str, Any]) -> Any:
    given = {name: value for name, value in form.items() if value is not None}
    return outsider().post(path, urlencode(given), content_type="application/x-www-form-urlencoded")
