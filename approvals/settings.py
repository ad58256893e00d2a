"""Every setting, read from the environment once. docs/settings.md has the table; a test keeps the two equal.

A process started without COUNTERSIGN_ENV is a production process: secrets have no default there, and those that
a demo or a test generates are refused.
"""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from csp.constants import NONE, SELF

from approvals import logs, noise
from approvals.audit import targets
from approvals.errors import SettingMissing

BASE_DIR = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("COUNTERSIGN_DATA", BASE_DIR / ".data"))
PROCESS = os.environ.get("COUNTERSIGN_PROCESS", "supervisor")


ENV = os.environ.get("COUNTERSIGN_ENV", "production")
IN_PRODUCTION = ENV == "production"
# A supervisor only starts other processes, and `check` in a bare checkout must be able to say what is missing.
NEEDS_SECRETS = PROCESS != "supervisor"


# What `manage.py dev` and the tests generate starts with this.
DEMO_MARK = "demo"


def secret(name: str, hint: str, *, only: tuple[str, ...] = ()) -> str:
    """A secret of this process ("" where the process has no business with it).

    Raises SettingMissing when it is absent, and in production when it is one that a demo generated.
    """
    value = os.environ.get(name, "")
    if only and PROCESS not in only:
        return ""
    if not value and NEEDS_SECRETS:
        raise SettingMissing(name=name, hint=hint)
    if IN_PRODUCTION and value.startswith(DEMO_MARK):
        raise SettingMissing(name=name, hint=f"Its value is a demo secret, refused in production. {hint}")
    return value


def listed(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def days(name: str, default: str) -> int:
    """A number of days; 0 is for ever. Raises SettingMissing."""
    value = os.environ.get(name, default)
    if not value.isascii() or not value.isdigit() or int(value) > 36_500:
        raise SettingMissing(name=name, hint="It is a whole number of days, from 0 (for ever) to 36500.")
    return int(value)


# --- where things are -------------------------------------------------------------------------------------

PUBLIC_URL = os.environ.get("PUBLIC_URL", "http://localhost:8000").rstrip("/")
DOOR_URL = os.environ.get("DOOR_URL", "http://localhost:8001/mcp").rstrip("/")
# What a token for the REST API names as its resource; the pages' own process serves it.
API_URL = f"{PUBLIC_URL}/api"
if DOOR_URL == API_URL:
    raise SettingMissing(name="DOOR_URL", hint="It is another address than that of the REST API.")
BACKING_URL = os.environ.get("BACKING_URL", "http://127.0.0.1:8002").rstrip("/")
BACKING_TIMEOUT_SECONDS = float(os.environ.get("BACKING_TIMEOUT_SECONDS", "10"))
# How long a call that nobody answered may still arrive there. Until then "no record of it" proves nothing.
BACKING_LONGEST_SECONDS = float(os.environ.get("BACKING_LONGEST_SECONDS", "60"))
# How long a request may be in doubt before operators are told.
UNCERTAIN_ALERT_SECONDS = int(os.environ.get("UNCERTAIN_ALERT_SECONDS", "900"))
# Folders with one file a tenant, named by its slug, holding a bearer token: read at each call, so they rotate.
BACKING_READ_CREDENTIALS = os.environ.get("BACKING_READ_CREDENTIALS", "")
BACKING_WRITE_CREDENTIALS = os.environ.get("BACKING_WRITE_CREDENTIALS", "") if PROCESS == "worker" else ""

# Who carries refunds out: the company's API ("shop"), or Stripe with keys in folders as above: docs/stripe.md.
REFUNDS_BY = os.environ.get("REFUNDS_BY", "shop")
STRIPE_URL = os.environ.get("STRIPE_URL", "https://api.stripe.com").rstrip("/")
STRIPE_READ_KEYS = os.environ.get("STRIPE_READ_KEYS", "")
STRIPE_WRITE_KEYS = os.environ.get("STRIPE_WRITE_KEYS", "") if PROCESS == "worker" else ""
if REFUNDS_BY not in ("shop", "stripe"):
    raise SettingMissing(name="REFUNDS_BY", hint="It is shop or stripe.")
if not STRIPE_URL.startswith("https://" if IN_PRODUCTION else ("https://", "http://")):
    raise SettingMissing(name="STRIPE_URL", hint="Give its https address, or leave it out for Stripe's own.")

# A folder of actions that this deployment declares, and theirs: a folder each of a credential's name, as above.
DECLARED_ACTIONS = os.environ.get("DECLARED_ACTIONS", "")
DECLARED_READ_CREDENTIALS = os.environ.get("DECLARED_READ_CREDENTIALS", "")
DECLARED_WRITE_CREDENTIALS = os.environ.get("DECLARED_WRITE_CREDENTIALS", "") if PROCESS == "worker" else ""

# Receivers of messages may be plain http, and at private addresses: for development and tests.
ALLOW_PRIVATE_RECEIVERS = os.environ.get("ALLOW_PRIVATE_RECEIVERS") == "1"

# Where Slack's Web API is, for receivers that are a Slack app.
SLACK_API_URL = os.environ.get("SLACK_API_URL", "https://slack.com/api").rstrip("/")
if not SLACK_API_URL.startswith("https://" if IN_PRODUCTION else ("https://", "http://")):
    raise SettingMissing(
        name="SLACK_API_URL", hint="Give its https address, or leave it out for Slack's own."
    )

# --- mail -------------------------------------------------------------------------------------------------

# Sent by workers alone. Without a server, development prints it, and production says on the trail that none is set.
MAIL_HOST = os.environ.get("MAIL_HOST", "")
MAIL_IS_SENT = bool(MAIL_HOST) or not IN_PRODUCTION
_backend = "smtp" if MAIL_HOST else {"development": "console", "test": "locmem"}.get(ENV, "dummy")
EMAIL_BACKEND = f"django.core.mail.backends.{_backend}.EmailBackend"
EMAIL_HOST = MAIL_HOST or "localhost"
MAIL_SECURITY = os.environ.get("MAIL_SECURITY", "starttls")
EMAIL_USE_TLS, EMAIL_USE_SSL = MAIL_SECURITY == "starttls", MAIL_SECURITY == "tls"
EMAIL_PORT = int(os.environ.get("MAIL_PORT", "465" if EMAIL_USE_SSL else "587"))
EMAIL_HOST_USER = os.environ.get("MAIL_USER", "") if PROCESS == "worker" else ""
EMAIL_HOST_PASSWORD = os.environ.get("MAIL_PASSWORD", "") if PROCESS == "worker" else ""
EMAIL_TIMEOUT = 10  # seconds, below a task's soft limit
DEFAULT_FROM_EMAIL = os.environ.get("MAIL_FROM", "Countersign <countersign@localhost>")
if MAIL_SECURITY not in ("starttls", "tls", "none"):
    raise SettingMissing(name="MAIL_SECURITY", hint="It is starttls, tls or none.")

# --- database and queue -----------------------------------------------------------------------------------

DATABASE_ROLE_PREFIX = os.environ.get("DATABASE_ROLE_PREFIX", "countersign")
_database = urlsplit(
    secret(
        "DATABASE_URL", f"Give the {PROCESS} its own role: postgresql://{DATABASE_ROLE_PREFIX}_{PROCESS}:..."
    )
)
if IN_PRODUCTION and (_database.password or "").startswith(DEMO_MARK):
    raise SettingMissing(name="DATABASE_URL", hint="Its password is a demo secret, refused in production.")
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _database.path.lstrip("/"),
        "USER": _database.username or "",
        "PASSWORD": _database.password or "",
        "HOST": _database.hostname or "",
        "PORT": str(_database.port or ""),
        # A page's thread lives for one request: what it left open, nobody would use again. See turns.py.
        "CONN_MAX_AGE": 0 if PROCESS == "web" else 600,
        "CONN_HEALTH_CHECKS": True,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = os.environ.get("REDIS_URL", "")
# What sign-in counts and remembers for minutes, for all web processes together.
CACHES = {"default": {"BACKEND": "approvals.shared_cache.SharedCache"}}
CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL", REDIS_URL)
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = False  # true makes a poison message loop
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_PUBLISH_RETRY = False  # a publisher that waits for the broker would block a page
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CONNECTION_TIMEOUT = 4 if PROCESS == "worker" else 1  # RabbitMQ's; Redis has its own below
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 300,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    "socket_timeout": 5 if PROCESS == "worker" else 1,
    "socket_connect_timeout": 0.5,
    # Of connecting, before a message is sent: else a bell that nobody hears holds a page up for six seconds.
    "max_retries": 0,
}
# HTTP timeout < soft < hard < visibility timeout. A worker renews its leases until the hard limit, and no longer.
CELERY_TASK_SOFT_TIME_LIMIT = 40
CELERY_TASK_TIME_LIMIT = 50
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
EXECUTION_LEASE_SECONDS = int(os.environ.get("EXECUTION_LEASE_SECONDS", "20"))
if not 4 <= EXECUTION_LEASE_SECONDS <= CELERY_TASK_TIME_LIMIT:
    raise SettingMissing(
        name="EXECUTION_LEASE_SECONDS",
        hint=f"It is 4 to {CELERY_TASK_TIME_LIMIT} seconds: a lease is renewed four times in its length.",
    )

if BACKING_LONGEST_SECONDS < CELERY_TASK_TIME_LIMIT:
    raise SettingMissing(
        name="BACKING_LONGEST_SECONDS",
        hint=f"It is at least {CELERY_TASK_TIME_LIMIT}: a worker that was taken for dead may still send until then.",
    )


def paced(name: str, written: list[str]) -> dict[str, tuple[int | None, int | None]]:
    """`refund_payment=2/30` by action: how many attempts at once, how many a minute; `-` is no limit."""
    limits = {}
    for one in written:
        found = re.fullmatch(r"([a-z][a-z0-9_]*)=([1-9][0-9]{0,5}|-)/([1-9][0-9]{0,5}|-)", one)
        if found is None or found[1] in limits:
            hint = f"It lists each action once, such as refund_payment=2/30, or -/30 or 2/-; this is not: {one[:80]}"
            raise SettingMissing(name=name, hint=hint)
        at_once, a_minute = (None if number == "-" else int(number) for number in found.groups()[1:])
        limits[found[1]] = (at_once, a_minute)
    return limits


EXECUTION_LIMITS = paced("EXECUTION_LIMITS", listed("EXECUTION_LIMITS"))

# --- how much an agent may ask for ------------------------------------------------------------------------

# 0 is no limit. A tool's is each agent's own. Calls are counted in Redis, requests in PostgreSQL: docs/limits.md.
LIMIT_AGENT_CALLS_A_MINUTE = int(os.environ.get("LIMIT_AGENT_CALLS_A_MINUTE", "240"))
LIMIT_TOOL_CALLS_A_MINUTE = int(os.environ.get("LIMIT_TOOL_CALLS_A_MINUTE", "120"))
LIMIT_TENANT_CALLS_A_MINUTE = int(os.environ.get("LIMIT_TENANT_CALLS_A_MINUTE", "2400"))
LIMIT_AGENT_PENDING = int(os.environ.get("LIMIT_AGENT_PENDING", "200"))
LIMIT_TOOL_PENDING = int(os.environ.get("LIMIT_TOOL_PENDING", "100"))
LIMIT_TENANT_PENDING = int(os.environ.get("LIMIT_TENANT_PENDING", "2000"))
LIMIT_AGENT_REQUESTS_A_DAY = int(os.environ.get("LIMIT_AGENT_REQUESTS_A_DAY", "1000"))
LIMIT_TOOL_REQUESTS_A_DAY = int(os.environ.get("LIMIT_TOOL_REQUESTS_A_DAY", "500"))
LIMIT_TENANT_REQUESTS_A_DAY = int(os.environ.get("LIMIT_TENANT_REQUESTS_A_DAY", "10000"))
# The same call, refused for the same reason so many times in a row, has to wait; longer each time.
LIMIT_SAME_REFUSALS = int(os.environ.get("LIMIT_SAME_REFUSALS", "5"))
# Of the OAuth server: what one address asks for tokens, and how often one program at an address may fail.
LIMIT_TOKEN_CALLS_A_MINUTE = int(os.environ.get("LIMIT_TOKEN_CALLS_A_MINUTE", "600"))
LIMIT_TOKEN_FAILURES_A_MINUTE = int(os.environ.get("LIMIT_TOKEN_FAILURES_A_MINUTE", "30"))
# Of the REST API: calls of one person, or of one agent.
LIMIT_API_CALLS_A_MINUTE = int(os.environ.get("LIMIT_API_CALLS_A_MINUTE", "240"))

# --- secrets ----------------------------------------------------------------------------------------------

SECRET_KEY = secret(
    "SECRET_KEY",
    "Generate one: python -c 'import secrets; print(secrets.token_urlsafe(50))'",
) or "supervisor-signs-nothing"  # fmt: skip
AUDIT_SIGNING_KEY = secret(
    "AUDIT_SIGNING_KEY",
    "Generate one: python -c 'import base64, secrets; print(base64.b64encode(secrets.token_bytes(32)).decode())'",
    only=("sweeper",),
)
AUDIT_PUBLIC_KEYS = listed("AUDIT_PUBLIC_KEYS")
# Where the sweeper pushes checkpoints, with what, and how late they may come before operators are told: docs/trail.md.
CHECKPOINT_TARGETS = targets.parsed(
    os.environ.get("CHECKPOINT_TARGETS", "") if PROCESS == "sweeper" else "", in_production=IN_PRODUCTION
)
CHECKPOINT_STORE_CREDENTIALS = (
    os.environ.get("CHECKPOINT_STORE_CREDENTIALS", "") if PROCESS == "sweeper" else ""
)
CHECKPOINT_STORE_REGION = os.environ.get("CHECKPOINT_STORE_REGION", "us-east-1")
CHECKPOINT_WEBHOOK_SECRET = os.environ.get("CHECKPOINT_WEBHOOK_SECRET", "") if PROCESS == "sweeper" else ""
CHECKPOINT_LAG_ALERT_SECONDS = int(os.environ.get("CHECKPOINT_LAG_ALERT_SECONDS", "900"))
for _kind, _name, _file in (
    ("store", "CHECKPOINT_STORE_CREDENTIALS", CHECKPOINT_STORE_CREDENTIALS),
    ("webhook", "CHECKPOINT_WEBHOOK_SECRET", CHECKPOINT_WEBHOOK_SECRET),
):
    if not _file and any(target.kind == _kind for target in CHECKPOINT_TARGETS):
        raise SettingMissing(name=_name, hint=f"CHECKPOINT_TARGETS has a {_kind}: name the file it needs.")
# Fernet keys, the newest first; they seal the URLs and secrets of message receivers.
ENCRYPTION_KEYS = [
    key.strip()
    for key in secret(
        "ENCRYPTION_KEYS",
        "Generate one: python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'",
        only=("web", "worker", "migrator"),
    ).split(",")
    if key.strip()
]

# The file with the keys that payloads are sealed with. It is read at the start of those who need it, and again whenever
# it changes: payload_keys.py.
PAYLOAD_KEYS = os.environ.get("PAYLOAD_KEYS", "") if PROCESS != "sweeper" else ""

# --- how long payloads are kept ---------------------------------------------------------------------------

# In days after a request is finished; 0 keeps them. What the sweeper erases by, and pages tell.
FULL_PAYLOAD_DAYS = days("FULL_PAYLOAD_DAYS", "90")
REDACTED_PAYLOAD_DAYS = days("REDACTED_PAYLOAD_DAYS", "400")
if REDACTED_PAYLOAD_DAYS and not 0 < FULL_PAYLOAD_DAYS <= REDACTED_PAYLOAD_DAYS:
    raise SettingMissing(
        name="REDACTED_PAYLOAD_DAYS", hint="What is shown is kept for as long as the full payload, at least."
    )

# --- Django -----------------------------------------------------------------------------------------------

DEBUG = False
ALLOWED_HOSTS = listed("ALLOWED_HOSTS", urlsplit(PUBLIC_URL).hostname or "localhost")
ROOT_URLCONF = "approvals.urls"
ASGI_APPLICATION = "approvals.asgi.application"
INSTALLED_APPS = [
    "approvals",
    "approvals.identity",
    "approvals.audit",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "csp",
    "django_htmx",
    "oauth2_provider",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "approvals.views.headers.HeadersMiddleware",
    "approvals.views.static.StaticFiles",
    "approvals.turns.TurnMiddleware",
    "approvals.tracing.TraceMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "approvals.identity.middleware.TenantMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA / "static" if IN_PRODUCTION else None  # collected where it is served from
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if IN_PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not IN_PRODUCTION
WHITENOISE_AUTOREFRESH = False

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

# --- people -----------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "identity.Person"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_ADAPTER = "approvals.views.sign_in.SignIn"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_EMAIL_NOTIFICATIONS = False  # the trail tells
# How long a proof of who somebody is counts, where a rule or a page asks for one.
STEP_UP_SECONDS = min(int(os.environ.get("STEP_UP_SECONDS", "300")), 300)  # as the database counts
ACCOUNT_REAUTHENTICATION_TIMEOUT = STEP_UP_SECONDS
# Wrong passwords for one account: from one browser or address, and from everywhere that it has not signed in from.
LIMIT_SIGN_IN_FAILURES = int(os.environ.get("LIMIT_SIGN_IN_FAILURES", "5"))
SIGN_IN_LOCK_SECONDS = int(os.environ.get("SIGN_IN_LOCK_SECONDS", "300"))
MFA_ADAPTER = "approvals.identity.factors.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_FORMS = {
    "add_webauthn": "approvals.views.passkeys.AddForm",
    "authenticate_webauthn": "approvals.views.passkeys.SignInForm",
    "reauthenticate_webauthn": "approvals.views.passkeys.ProveForm",
}
MFA_TOTP_ISSUER = "Countersign"
MFA_ALLOW_UNVERIFIED_EMAIL = True  # whoever adds a person vouches for the address
# How many of our proxies an address has come past, each of which added one to X-Forwarded-For.
ALLAUTH_TRUSTED_PROXY_COUNT = int(os.environ.get("TRUSTED_PROXIES", "0"))
# The company's own sign-in (OpenID Connect), for people whom an operator has added: docs/signing-in.md.
SSO_ISSUER = os.environ.get("SSO_ISSUER", "").rstrip("/")
SSO_CLIENT_ID = os.environ.get("SSO_CLIENT_ID", "")
SSO_CLIENT_SECRET = (
    secret("SSO_CLIENT_SECRET", "SSO_ISSUER gives it with SSO_CLIENT_ID.", only=("web",))
    if SSO_ISSUER
    else ""
)
SSO_NAME = os.environ.get("SSO_NAME", "your company's sign-in")
# Slugs of the tenants whose people it vouches for: an issuer of one company says nothing about those of another.
SSO_TENANTS = listed("SSO_TENANTS")
PASSWORD_SIGN_IN = os.environ.get("PASSWORD_SIGN_IN", "1") != "0"
SOCIALACCOUNT_ADAPTER = "approvals.views.sso.Sso"
if SSO_ISSUER and not (SSO_CLIENT_ID and SSO_TENANTS):
    raise SettingMissing(
        name="SSO_CLIENT_ID or SSO_TENANTS", hint="SSO_ISSUER needs both: docs/signing-in.md."
    )
if SSO_ISSUER and not SSO_ISSUER.startswith("https://" if IN_PRODUCTION else ("https://", "http://")):
    raise SettingMissing(name="SSO_ISSUER", hint="Give its https address.")
if not (PASSWORD_SIGN_IN or SSO_ISSUER):
    raise SettingMissing(name="SSO_ISSUER", hint="Without passwords there must be another way to sign in.")
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = "/accounts/login/"

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 8 * 60 * 60
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_FAILURE_VIEW = "approvals.views.account.csrf_failure"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SERVED_OVER_TLS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IN_PRODUCTION or SERVED_OVER_TLS
# The library knows https origins alone; a passkey for http://localhost is for development and tests.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not (IN_PRODUCTION or SERVED_OVER_TLS)
SECURE_SSL_REDIRECT = IN_PRODUCTION
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SECURE_HSTS_SECONDS = 31_536_000 if IN_PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = IN_PRODUCTION
if os.environ.get("BEHIND_PROXY") == "1":
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "style-src": [SELF],
        "script-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# --- the OAuth server -------------------------------------------------------------------------------------

OAUTH2_PROVIDER_APPLICATION_MODEL = "identity.Application"
OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL = "identity.AccessToken"  # noqa: S105
OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL = "identity.RefreshToken"  # noqa: S105
OAUTH2_PROVIDER_GRANT_MODEL = "identity.Grant"
OAUTH2_PROVIDER_ID_TOKEN_MODEL = "identity.IDToken"  # noqa: S105
OAUTH2_PROVIDER_DEVICE_GRANT_MODEL = "identity.DeviceGrant"
# Programs may register themselves by RFC 7591: for hosts that know no metadata documents. Anybody may then add rows.
DYNAMIC_REGISTRATION = os.environ.get("DYNAMIC_REGISTRATION") == "1"
# Metadata documents of programs may come from this machine: for development and tests.
ALLOW_PRIVATE_CLIENTS = os.environ.get("ALLOW_PRIVATE_CLIENTS") == "1"
OAUTH2_PROVIDER = {
    "OAUTH2_VALIDATOR_CLASS": "approvals.identity.validator.Validator",
    "SCOPES_BACKEND_CLASS": "approvals.views.oauth.scopes.Scopes",
    "OAUTH2_GRANT_TYPES_SUPPORTED": [
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:device_code",
    ],
    "OAUTH_PRE_TOKEN_VALIDATION": [],  # the library's looks a device code up before it asks who sends it
    "OAUTH_DEVICE_VERIFICATION_URI": f"{PUBLIC_URL}/device/",
    "OAUTH_DEVICE_VERIFICATION_URI_COMPLETE": f"{PUBLIC_URL}/device/?user_code={{user_code}}",
    "OAUTH2_TOKEN_ENDPOINT_AUTH_METHODS_SUPPORTED": ["none", "client_secret_basic", "client_secret_post"],
    "CIMD_ENABLED": True,
    "CIMD_METADATA_FETCHER": "approvals.views.oauth.documents.DocumentFetcher",
    "CIMD_REGISTRATION_PERMISSION_CLASSES": ["approvals.views.oauth.documents.OnlyWhereSomebodyAsks"],
    "DCR_ENABLED": DYNAMIC_REGISTRATION,
    "OAUTH2_RESPONSE_TYPES_SUPPORTED": ["code"],
    "OIDC_ISS_ENDPOINT": PUBLIC_URL,
    "ACCESS_TOKEN_EXPIRE_SECONDS": 900,
    "AUTHORIZATION_CODE_EXPIRE_SECONDS": 60,
    "REFRESH_TOKEN_EXPIRE_SECONDS": 14 * 24 * 60 * 60,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0,
    "PKCE_REQUIRED": True,
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https"],  # and http on loopback: identity/programs.py
    "ALLOWED_SCHEMES": ["https"],
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_PKCE_REQUIRED": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
    "COMPLIANT_BCP_RFC9700_REFRESH_TOKEN": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_SCHEME": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_MATCHING": True,
}

# --- tokens of another issuer -----------------------------------------------------------------------------

# Where this is set (Keycloak, Entra, Auth0, ...), its tokens open the door and ours do not; our OAuth server is off.
TOKEN_ISSUER = os.environ.get("TOKEN_ISSUER", "")
TOKEN_JWKS_URL = os.environ.get("TOKEN_JWKS_URL", "")
TOKEN_AUDIENCE = os.environ.get("TOKEN_AUDIENCE", DOOR_URL)
TOKEN_TENANT_CLAIM = os.environ.get("TOKEN_TENANT_CLAIM", "")
TOKEN_SUBJECT_CLAIM = os.environ.get("TOKEN_SUBJECT_CLAIM", "sub")
TOKEN_SCOPE_CLAIM = os.environ.get("TOKEN_SCOPE_CLAIM", "scope")
if TOKEN_ISSUER and not TOKEN_TENANT_CLAIM:
    raise SettingMissing(name="TOKEN_TENANT_CLAIM", hint="Name the claim that holds a tenant's slug.")
if TOKEN_ISSUER and not TOKEN_JWKS_URL.startswith("https://" if IN_PRODUCTION else ("https://", "http://")):
    raise SettingMissing(
        name="TOKEN_JWKS_URL", hint="Give the https address where TOKEN_ISSUER publishes keys."
    )

# --- the REST API -----------------------------------------------------------------------------------------

# What each endpoint is, `approvals/api/endpoint.py` says; here is what the libraries read from nowhere else.
REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "approvals.api.schema.Schema",
    "EXCEPTION_HANDLER": "approvals.api.problems.answer",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Countersign",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "PREPROCESSING_HOOKS": ["approvals.api.schema.ours"],
    "POSTPROCESSING_HOOKS": ["approvals.api.schema.finished"],
    "SCHEMA_PATH_PREFIX": r"/api/v1/",
    "SORT_OPERATIONS": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
}

# --- logs -------------------------------------------------------------------------------------------------

# Where spans go (OTLP over HTTP); "" keeps none. The SDK reads this and the rest of its OTEL_ variables by itself.
OTEL_EXPORTER_OTLP_ENDPOINT = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": [
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.add_log_level,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            "processors": [
                logs.without_quotes,
                logs.without_paths,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                logs.without_objects,
                structlog.processors.ExceptionRenderer(logs.formatted),
                structlog.processors.JSONRenderer(),
            ],
        }
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "json"}
    },  # stdout is a protocol on stdio
    # Below this level they write URLs down, and the URL of a message receiver is a secret.
    "loggers": {
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        "httpx2": {"level": "WARNING"},
        "oauth2_provider.cimd": {"level": "WARNING"},
        "stripe": {"level": "WARNING"},
        # The SDK writes down what an agent sent, at any length; the line of the call says what became of it.
        "mcp": {"level": "WARNING"},
        "mcp.server.transport_security": {"level": "ERROR"},
        # So does a server's access log, and a query string may hold what somebody put there by mistake.
        "uvicorn.access": {"level": "WARNING", "handlers": []},
        "django.request": {"filters": [noise.everyday_answers]},
        # The page that is shown then leaves a line of its own.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "uvicorn": {"handlers": [], "propagate": True},
    },
    "root": {"handlers": ["stderr"], "level": os.environ.get("LOG_LEVEL", "INFO")},
}
