"""Tokens of another issuer: signed JWTs instead of ours, each rule of RFC 9068 and RFC 8725 by an attack on it."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from oauth2_provider.models import set_token_value

from approvals.errors import IssuerSilent, TokenRefused
from approvals.identity import issuer as ours
from approvals.identity.credentials import requester_of_token
from approvals.identity.models import AccessToken, Agent, Application
from approvals.identity.requester import Requester
from tests.identity.issuing import ISSUER, KINDS, Issuer, issuing
from tests.world import World

SUBJECT = "service-account-support-bot"
Token = Callable[..., str]


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    """Another issuer, which the settings name from here on; it has one RSA key."""
    with issuing() as running:
        running.add_key("RS256", "first")
        for name, value in {
            "TOKEN_ISSUER": ISSUER,
            "TOKEN_JWKS_URL": running.url,
            "TOKEN_AUDIENCE": settings.DOOR_URL,
            "TOKEN_TENANT_CLAIM": "company",
            "TOKEN_SUBJECT_CLAIM": "sub",
            "TOKEN_SCOPE_CLAIM": "scope",
        }.items():
            monkeypatch.setattr(settings, name, value)
        ours.keys.cache_clear()
        yield running


@pytest.fixture
def token(world: World, issuer: Issuer) -> Token:
    """A token of the other issuer for this world's agent, with changes to its claims."""
    _known_as(world, SUBJECT)

    def make(**changes: Any) -> str:
        said = {"aud": settings.DOOR_URL, "sub": SUBJECT, "company": world.tenant.slug}
        return issuer.token(**{**said, "scope": "mcp:read mcp:request", **changes})

    return make


def _known_as(world: World, subject: str | None) -> None:
    with world.processes.acting_as("migrator"):
        Agent.objects.filter(pk=world.agent.id).update(external_subject=subject)


def enter(world: World, raw: str) -> Requester:
    with world.processes.acting_as("door"):
        return requester_of_token(raw)


def because(world: World, raw: str) -> str:
    with pytest.raises(TokenRefused) as refusal:
        enter(world, raw)
    return str(refusal.value.details["because"])


@pytest.mark.parametrize("algorithm", sorted(KINDS))
def test_a_signed_token_is_the_agent_that_its_subject_names(
    world: World, issuer: Issuer, token: Token, algorithm: str
) -> None:
    issuer.add_key(algorithm, "another")
    requester = enter(world, token())
    assert (requester.agent_id, requester.tenant_id) == (world.agent.agent_id, world.tenant.pk)
    assert requester.owner_id == world.people["otto"].pk
    assert requester.scopes == {"mcp:read", "mcp:request"}


@pytest.mark.parametrize(
    ("scope", "held"),
    [
        ("mcp:read", {"mcp:read"}),
        (["mcp:read", "mcp:request:refund_payment"], {"mcp:read", "mcp:request:refund_payment"}),
        ("openid mcp:read offline_access mcp:approve", {"mcp:read"}),
        (None, set()),
        ({"mcp:read": True}, set()),
        ([7, "mcp:read"], {"mcp:read"}),
    ],
)
def test_only_scopes_that_it_names_and_we_have_are_held(
    world: World, token: Token, scope: Any, held: set[str]
) -> None:
    assert enter(world, token(scope=scope)).scopes == held


def test_an_agent_that_was_narrowed_gets_no_more_whatever_its_token_says(world: World, token: Token) -> None:
    with world.processes.acting_as("migrator"):
        mine = Application.objects.filter(client_id=world.agent.client_id)
        mine.update(scope="mcp:request:refund_payment")
    assert enter(world, token()).scopes == {"mcp:request:refund_payment"}


def test_other_claims_can_name_tenant_agent_and_scopes(
    world: World, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "TOKEN_SUBJECT_CLAIM", "azp")
    monkeypatch.setattr(settings, "TOKEN_SCOPE_CLAIM", "scp")
    assert enter(world, token(sub="7", azp=SUBJECT, scope=None, scp="mcp:read")).scopes == {"mcp:read"}


def test_our_own_token_is_refused_where_another_issuer_was_named(world: World, token: Token) -> None:
    raw = f"a-token-of-ours-{world.tenant.slug}"
    with world.processes.acting_as("migrator"):
        agent = Agent.objects.get(pk=world.agent.id)
        stored = AccessToken(
            agent=agent,
            application=agent.application,
            expires=timezone.now() + timedelta(minutes=5),
            scope="mcp:read",
            resource=[settings.DOOR_URL],
        )
        set_token_value(stored, raw)
        stored.save()
    assert because(world, raw) == "malformed"


# --- what a token has to say --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"iss": "https://issuer.example/realms/other"}, "issuer"),
        ({"iss": ISSUER + "/"}, "issuer"),
        ({"iss": [ISSUER]}, "issuer"),
        ({"iss": None}, "claim_missing"),
        ({"aud": None}, "claim_missing"),
        ({"aud": "https://elsewhere.example/mcp"}, "audience"),
        ({"aud": settings.DOOR_URL + "/"}, "audience"),
        ({"aud": [settings.DOOR_URL, "https://elsewhere.example/mcp"]}, "audience"),
        ({"aud": []}, "claim_missing"),
        ({"exp": None}, "claim_missing"),
        ({"exp": int(time.time()) - 60}, "expired"),
        ({"exp": "soon"}, "malformed"),
        ({"nbf": int(time.time()) + 3600}, "not_yet"),
        ({"iat": int(time.time()) + 3600}, "not_yet"),
        ({"sub": None}, "claim_missing"),
        ({"sub": ""}, "claim_missing"),
        ({"sub": "x" * 256}, "claim_missing"),
        ({"sub": "service\0account"}, "claim_missing"),
        ({"sub": "somebody-else"}, "unknown_subject"),
        ({"company": None}, "claim_missing"),
        ({"company": ["a", "b"]}, "claim_missing"),
        ({"company": "nowhere"}, "unknown_subject"),
        ({"cnf": {"jkt": "thumbprint"}}, "bound_to_a_key"),
    ],
)
def test_a_claim_that_is_not_exactly_right_is_refused(
    world: World, token: Token, changes: dict[str, Any], why: str
) -> None:
    assert because(world, token(**changes)) == why


def test_an_audience_in_a_list_of_its_own_is_the_same(world: World, token: Token) -> None:
    assert enter(world, token(aud=[settings.DOOR_URL])).agent_id == world.agent.agent_id


def test_clocks_may_differ_by_a_few_seconds(world: World, token: Token) -> None:
    now = int(time.time())
    assert enter(world, token(exp=now - 3, nbf=now + 5)).agent_id == world.agent.agent_id


def test_a_subject_counts_only_in_its_own_company(world: World, token: Token) -> None:
    with world.processes.acting_as("migrator"):
        Agent.objects.filter(pk=world.other_agent.id).update(external_subject="theirs")
    assert because(world, token(sub="theirs")) == "unknown_subject"
    assert because(world, token(company=world.other.slug)) == "unknown_subject"
    assert enter(world, token(company=world.other.slug, sub="theirs")).tenant_id == world.other.pk


def test_an_agent_without_a_subject_is_nobody_to_the_issuer(world: World, token: Token) -> None:
    _known_as(world, None)
    assert because(world, token()) == "unknown_subject"


def test_a_token_is_refused_when_its_agent_was_switched_off_and_the_trail_can_say_whose_it_was(
    world: World, token: Token
) -> None:
    with world.processes.acting_as("migrator"):
        Agent.objects.filter(pk=world.agent.id).update(is_active=False)
    with pytest.raises(TokenRefused) as refusal:
        enter(world, token())
    assert refusal.value.details == {
        "because": "switched_off",
        "agent_id": world.agent.agent_id,
        "tenant_id": world.tenant.pk,
    }


# --- who signed it ------------------------------------------------------------------------------------------


def test_a_key_that_the_issuer_does_not_publish_signs_nothing(
    world: World, issuer: Issuer, token: Token
) -> None:
    issuer.add_key("RS256", "stolen", publish=False)
    assert because(world, token()) == "unknown_key"


def test_another_key_under_a_known_id_signs_nothing(world: World, issuer: Issuer, token: Token) -> None:
    token()
    issuer.add_key("RS256", "first", publish=False)  # the same id, another private key
    assert because(world, token()) == "signature"


def test_a_token_without_a_signature_is_refused(world: World, issuer: Issuer, token: Token) -> None:
    header, payload, _ = token().split(".")
    assert because(world, f"{header}.{payload}.") == "signature"
    unsigned = jwt.encode(jwt.decode(token(), options={"verify_signature": False}), "", "none")
    assert because(world, unsigned) == "unknown_key"
    named = _segment({"alg": "none", "kid": "first", "typ": "at+jwt"})
    assert because(world, f"{named}.{payload}.") == "algorithm"
    assert because(world, f"{_segment({'alg': 'RS256', 'kid': 'first'})}.{payload}.AAAA") == "signature"


def test_a_public_key_is_no_shared_secret(world: World, issuer: Issuer, token: Token) -> None:
    """RFC 8725, section 2.1: HS256 over the PEM of the published key."""
    private: rsa.RSAPrivateKey = issuer.private["first"][1]
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    payload = token().split(".")[1]
    signing = f"{_segment({'alg': 'HS256', 'kid': 'first', 'typ': 'at+jwt'})}.{payload}"
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(signing.encode(), pem)
    forged = f"{signing}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    assert because(world, forged) == "algorithm"


def test_a_published_shared_secret_opens_nothing(world: World, issuer: Issuer, token: Token) -> None:
    secret = b"a-secret-that-is-published-by-mistake-for-everybody"
    encoded = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    issuer.published["shared"] = {"kty": "oct", "k": encoded, "kid": "shared", "alg": "HS256"}
    claims = jwt.decode(token(), options={"verify_signature": False})
    forged = jwt.encode(claims, secret, "HS256", headers={"kid": "shared", "typ": "at+jwt"})
    assert because(world, forged) == "algorithm"


def test_a_key_signs_with_its_own_algorithm_only(world: World, issuer: Issuer, token: Token) -> None:
    private = issuer.private["first"][1]
    claims = jwt.decode(token(), options={"verify_signature": False})
    other = jwt.encode(claims, private, "PS256", headers={"kid": "first", "typ": "at+jwt"})
    assert because(world, other) == "algorithm"


@pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits")
def test_a_key_that_is_too_short_signs_nothing(world: World, issuer: Issuer, token: Token) -> None:
    issuer.add_key("RS256", "short", private=rsa.generate_private_key(65537, 1024))
    assert because(world, token()) == "malformed"


def test_a_key_for_encryption_signs_nothing(world: World, issuer: Issuer, token: Token) -> None:
    issuer.add_key("RS256", "second")
    issuer.published["second"]["use"] = "enc"
    assert because(world, token()) == "unknown_key"


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({"typ": "logout+jwt"}, "type"),
        ({"typ": "dpop+jwt"}, "type"),
        ({"crit": ["exp"], "exp": 1}, "malformed"),
        ({"kid": "../../etc/passwd"}, "unknown_key"),
        ({"kid": "' OR 1=1 --"}, "unknown_key"),
    ],
)
def test_a_header_that_asks_for_more_than_a_key_is_refused(
    world: World, issuer: Issuer, token: Token, header: dict[str, Any], why: str
) -> None:
    claims = jwt.decode(token(), options={"verify_signature": False})
    wanted = {"kid": "first", "typ": "at+jwt", **header}
    assert because(world, jwt.encode(claims, issuer.private["first"][1], "RS256", headers=wanted)) == why


def test_a_header_chooses_no_address_to_fetch_keys_from(world: World, issuer: Issuer, token: Token) -> None:
    mallory = rsa.generate_private_key(65537, 2048)
    public = jwt.algorithms.RSAAlgorithm.to_jwk(mallory.public_key(), as_dict=True)
    claims = jwt.decode(token(), options={"verify_signature": False})
    with issuing() as elsewhere:
        elsewhere.add_key("RS256", "theirs", private=mallory)
        for extra in ({"jku": elsewhere.url}, {"jwk": public}, {"x5u": elsewhere.url}):
            headers = {"kid": "theirs", "typ": "at+jwt", **extra}
            assert because(world, jwt.encode(claims, mallory, "RS256", headers=headers)) == "unknown_key"
        assert elsewhere.asked == 0


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "JWT"])
def test_the_types_that_issuers_write_on_access_tokens_are_taken(
    world: World, issuer: Issuer, token: Token, typ: str
) -> None:
    claims = jwt.decode(token(), options={"verify_signature": False})
    headers = {"kid": "first", "typ": typ}
    raw = jwt.encode(claims, issuer.private["first"][1], "RS256", headers=headers)
    assert enter(world, raw).agent_id == world.agent.agent_id


def _segment(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


# --- what is no token at all --------------------------------------------------------------------------------


def test_a_token_that_is_too_long_is_not_looked_at(world: World, issuer: Issuer, token: Token) -> None:
    assert because(world, token(padding="x" * ours.LONGEST)) == "malformed"
    assert issuer.asked == 0


@pytest.mark.parametrize("raw", ["", ".", "..", "a.b.c", "é.é.é", "\ud800", "eyJ", "=.=.=", "W10.W10.W10"])
def test_what_is_no_token_is_refused(world: World, token: Token, raw: str) -> None:
    assert because(world, raw) == "malformed"


def test_a_header_of_a_thousand_brackets_is_refused(world: World, token: Token) -> None:
    deep = base64.urlsafe_b64encode(b"[" * 3000).rstrip(b"=").decode()
    assert because(world, f"{deep}.e30.AAAA") == "malformed"


@hypothesis(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
            ),
            max_leaves=6,
        ),
    ),
    payload=st.binary(max_size=60),
    signature=st.binary(max_size=300),
)
def test_no_forged_token_does_more_than_get_refused(
    world: World, token: Token, header: dict[str, Any], payload: bytes, signature: bytes
) -> None:
    parts = (json.dumps(header).encode(), payload, signature)
    raw = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    with pytest.raises(TokenRefused):
        ours.claims_of(raw)


# --- the issuer's keys --------------------------------------------------------------------------------------


def test_keys_are_asked_for_once_and_not_for_each_token(world: World, issuer: Issuer, token: Token) -> None:
    for _ in range(5):
        enter(world, token())
    assert issuer.asked == 1


def test_a_new_key_is_found_as_soon_as_the_issuer_signs_with_it(
    world: World, issuer: Issuer, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(world, token())
    issuer.add_key("ES256", "next")
    assert (
        because(world, token()) == "unknown_key"
    )  # asked a moment ago: whoever invents ids makes us wait, too
    monkeypatch.setattr(ours.keys(issuer.url), "cooldown_duration", 0)
    assert enter(world, token()).agent_id == world.agent.agent_id
    assert issuer.asked == 2


def test_a_flood_of_invented_key_ids_asks_the_issuer_once(world: World, issuer: Issuer, token: Token) -> None:
    for number in range(30):
        issuer.add_key("EdDSA", f"invented-{number}", publish=False)
        assert because(world, token()) == "unknown_key"
    assert issuer.asked == 1


def test_a_withdrawn_key_signs_nothing_once_the_keys_are_read_again(
    world: World, issuer: Issuer, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = token()
    enter(world, raw)
    issuer.add_key("ES256", "second")
    issuer.published.pop("first")
    cache = ours.keys(issuer.url).jwk_set_cache
    assert cache is not None
    assert cache.lifespan == ours.KEYS_LIVE_SECONDS == 300
    monkeypatch.setattr(cache, "lifespan", 0)
    monkeypatch.setattr(ours.keys(issuer.url), "cooldown_duration", 0)
    assert because(world, raw) == "unknown_key"


@pytest.mark.parametrize("answer", [b"", b"<html>", b"[]", b"{}", b'{"keys": []}', b"[" * 5000, b"\xff"])
def test_an_issuer_that_publishes_no_keys_lets_nobody_in_and_is_not_asked_again_at_once(
    world: World, issuer: Issuer, token: Token, answer: bytes
) -> None:
    issuer.answer = answer
    for _ in range(3):
        with pytest.raises(IssuerSilent):
            enter(world, token())
    assert issuer.asked == 1


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_issuer_that_answers_with_an_error_lets_nobody_in(
    world: World, issuer: Issuer, token: Token, status: int
) -> None:
    issuer.status = status
    with pytest.raises(IssuerSilent):
        enter(world, token())
    assert issuer.asked == 1


def test_an_issuer_that_cannot_be_reached_lets_nobody_in(
    world: World, issuer: Issuer, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "TOKEN_JWKS_URL", "http://127.0.0.1:1/jwks")
    with pytest.raises(IssuerSilent):
        enter(world, token())


def test_an_issuer_that_was_silent_is_asked_again_later(
    world: World, issuer: Issuer, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer.status = 500
    with pytest.raises(IssuerSilent):
        enter(world, token())
    issuer.status = 200
    monkeypatch.setattr(ours.keys(issuer.url), "_silent_until", 0.0)
    assert enter(world, token()).agent_id == world.agent.agent_id
