from approvals.models import Outbox


def announce(row: Outbox) -> None: ...


def deliver(row: Outbox) -> None: ...
