from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    name = "approvals"
    label = "approvals"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.conf import settings

        from approvals import actions, payload_keys

        actions.discover()
        if settings.PROCESS in payload_keys.NEEDED_BY:
            payload_keys.ring()  # now, and not with the first request
