"""Whatever is sent to the OAuth endpoints: no defect, no word from inside, no token without the secret."""

import base64
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from approvals.identity.models import AccessToken
from tests.mcp_bridge.fuzz.conftest import FUZZ
from tests.mcp_bridge.fuzz.judged import INSIDE
from tests.mcp_bridge.fuzz.material import JUNK, TEXTS, encoded
from tests.oauth.programs import CALLBACK, Program, outsider
from tests.views.conftest import SignIn, forget_counts
from tests.world import SECRET, World

GRANTS = [
    *("authorization_code", "refresh_token", "client_credentials", "password", "implicit"),
    "urn:ietf:params:oauth:grant-type:device_code",
]
ASKED: dict[str, list[str]] = {
    "grant_type": GRANTS,
    "response_type": ["code", "token", "code id_token", "none"],
    "redirect_uri": [
        CALLBACK,
        f"{CALLBACK}#x",
        "javascript:alert(1)",
        "http://[",
        "//evil.example",
        "http://a b",
    ],
    "scope": ["mcp:read", "mcp:request", "mcp:request:refund_payment", "offline_access", "mcp:read " * 500],
    "code_challenge": ["x" * 43, "x"],
    "code_challenge_method": ["S256", "plain"],
    "resource": [settings.DOOR_URL, "https://elsewhere.example/mcp", "http://[", "not a uri"],
    "state": ["s" * 5_000],
    "code": ["c" * 64],
    "code_verifier": ["v" * 43],
    "refresh_token": ["r" * 43],
    "device_code": ["d" * 40],
    "user_code": ["ABCD-EFGH"],
    "token": ["t" * 43],
    "token_type_hint": ["access_token", "refresh_token"],
    "client_id": ["nobody"],
    "client_secret": [SECRET],
    "encoding": ["utf-16", "nothing"],  # oauthlib's request has parameters for attributes
    "client": ["x"],
    "user": ["1"],
    "prompt": ["none", "login", "consent"],
    "claims": ["{"],
    "answer": ["allow", "deny"],
    "tenant": ["0af76519-16cd-43dd-8448-eb211c80319c"],
    "csrfmiddlewaretoken": ["x"],
}
PATHS = [
    *(
        "/o/token/",
        "/o/revoke_token/",
        "/o/authorize/",
        "/o/device-authorization/",
        "/o/register/",
        "/device/",
    ),
    *("/device/answer/", "/.well-known/oauth-authorization-server"),
]


def parameters(program: Program) -> st.SearchStrategy[list[tuple[str, str]]]:
    """Names that the endpoints know, mostly with values that they know, in any number and order."""
    known = ASKED | {"client_id": [program.client_id, *ASKED["client_id"]]}
    named = st.sampled_from(sorted(known)).flatmap(
        lambda name: st.tuples(st.just(name), st.sampled_from(known[name]) | TEXTS)
    )
    return st.lists(named | st.tuples(TEXTS, TEXTS), max_size=9)


CREDENTIALS = st.sampled_from(["", "Basic", "Basic !", "Bearer x", "Basic " + "e" * 5_000]) | TEXTS.map(
    lambda text: "Basic " + base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()
)
FORM = "application/x-www-form-urlencoded"
TYPES = st.sampled_from(
    [FORM, FORM + "; charset=utf-16", FORM + "; charset=nothing", "application/json", "text/plain", ""]
)


def harmless(answer: Any) -> None:
    assert answer.status_code < 500, (answer.status_code, answer.content[-2_000:])
    if answer["Content-Type"].startswith("application/json"):
        said = answer.content.decode()
        assert not [word for word in INSIDE if word in said], said


def quoted(pairs: list[tuple[str, str]]) -> str:
    return urlencode(
        [(name.encode("utf-8", "surrogatepass"), one.encode("utf-8", "surrogatepass")) for name, one in pairs]
    )


@FUZZ
@given(
    data=st.data(),
    path=st.sampled_from(PATHS),
    credentials=CREDENTIALS,
    kind=TYPES,
    asks_by_get=st.booleans(),
)
def test_an_outsider_may_send_anything(
    web: World,
    program: Program,
    data: st.DataObject,
    path: str,
    credentials: str,
    kind: str,
    asks_by_get: bool,
) -> None:
    forget_counts()
    pairs = quoted(data.draw(parameters(program)))
    headers = {"Authorization": credentials} if credentials else {}
    if asks_by_get:
        harmless(outsider().get(f"{path}?{pairs}", headers=headers))
    else:
        body = data.draw(st.just(pairs.encode()) | st.binary(max_size=50) | JUNK.map(encoded))
        harmless(outsider().generic("POST", path, body, content_type=kind, headers=headers))


@FUZZ
@given(
    data=st.data(),
    path=st.sampled_from(["/o/authorize/", "/device/", "/device/answer/"]),
    posts=st.booleans(),
)
def test_a_signed_in_person_may_be_sent_there_with_anything(
    web: World, program: Program, sign_in: SignIn, data: st.DataObject, path: str, posts: bool
) -> None:
    forget_counts()
    person = sign_in("lena")
    person.raise_request_exception = False
    query = quoted(data.draw(parameters(program)))
    if posts:
        form = quoted(data.draw(parameters(program)))
        harmless(person.generic("POST", f"{path}?{query}", form.encode(), content_type=FORM))
    else:
        harmless(person.get(f"{path}?{query}"))


@settings_of_hypothesis(FUZZ, max_examples=FUZZ.max_examples // 5)  # each secret is hashed, slowly on purpose
@given(asked=st.dictionaries(st.sampled_from(sorted(ASKED)), TEXTS, max_size=3), metadata=JUNK, secret=TEXTS)
def test_a_changed_request_for_a_token_gets_one_only_with_the_secret(
    web: World, asked: dict[str, str], metadata: Any, secret: str
) -> None:
    forget_counts()
    right = {
        "grant_type": "client_credentials",
        "client_id": web.agent.client_id,
        "client_secret": secret,
        "resource": settings.DOOR_URL,
    }
    harmless(outsider().post("/o/token/", quoted(list((right | asked).items())).encode(), content_type=FORM))
    assert not AccessToken.objects.filter(agent_id=web.agent.id).exists()


@FUZZ
@given(
    metadata=JUNK
    | st.fixed_dictionaries(
        {"redirect_uris": JUNK | st.lists(TEXTS | st.just(CALLBACK), max_size=3)},
        optional={"client_name": TEXTS | JUNK, "grant_types": JUNK, "scope": TEXTS, "contacts": JUNK},
    )
)
def test_a_program_may_register_with_anything(
    web: World, metadata: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_counts()
    monkeypatch.setattr(settings, "DYNAMIC_REGISTRATION", True)
    harmless(outsider().generic("POST", "/o/register/", encoded(metadata), content_type="application/json"))
