from django.apps import AppConfig
from django.conf import settings

# The settings that name folders of them; those that a process has no business with are "" there.
CREDENTIALS = (
    "BACKING_READ_CREDENTIALS",
    "BACKING_WRITE_CREDENTIALS",
    "STRIPE_READ_KEYS",
    "STRIPE_WRITE_KEYS",
    "DECLARED_READ_CREDENTIALS",
    "DECLARED_WRITE_CREDENTIALS",
)
# Those without which what a deployment declares cannot be looked up, or carried out.
DECLARED_NEED = {
    "door": ("DECLARED_READ_CREDENTIALS",),
    "worker": ("DECLARED_READ_CREDENTIALS", "DECLARED_WRITE_CREDENTIALS"),
}


class ApprovalsConfig(AppConfig):
    name = "approvals"
    label = "approvals"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from approvals import actions, credentials, pace, payload_keys

        actions.discover()
        pace.check_known()
        credentials.warn_of_open_files((name, getattr(settings, name)) for name in CREDENTIALS)
        if settings.DECLARED_ACTIONS:
            needed = DECLARED_NEED.get(settings.PROCESS, ())
            credentials.warn_of_none((name, getattr(settings, name)) for name in needed)
        if settings.PROCESS in payload_keys.NEEDED_BY:
            payload_keys.ring()  # now, and not with the first request
