"""Celery tasks: each claims its outbox row and calls one verb. Sent by name, with ids only."""

from uuid import UUID

from celery import shared_task
from celery.signals import worker_process_init, worker_process_shutdown

from approvals import bells, execute, fresh_look, notifications, rejudge, tracing, undo_order
from approvals import reconcile as reconciling
from approvals.bells import Bell
from approvals.notifications import mail as letters
from approvals.outbox import claimed


@worker_process_init.connect
def begin(**_: object) -> None:
    """In each process of the pool, after the fork: a thread that sends spans would not live on in it."""
    tracing.set_up()


@worker_process_shutdown.connect
def end(**_: object) -> None:
    tracing.shut_down()


@shared_task(name="approvals.tasks.each")
def each(rows: list[list[str]]) -> None:
    for topic, row_id, tenant_id in rows:
        bells.send(Bell(topic, UUID(row_id), UUID(tenant_id)))


@shared_task(name="approvals.tasks.judge")
def judge(row_id: str, tenant_id: str) -> None:
    with claimed(UUID(row_id), UUID(tenant_id)) as row:
        if row:
            rejudge.approve_by_rule(row.about, row.tenant_id)


@shared_task(name="approvals.tasks.execute")
def run(row_id: str, tenant_id: str) -> None:
    with claimed(UUID(row_id), UUID(tenant_id)) as row:
        if row:
            execute.run(row.about, row.tenant_id)


@shared_task(name="approvals.tasks.reconcile")
def reconcile(row_id: str, tenant_id: str) -> None:
    with claimed(UUID(row_id), UUID(tenant_id)) as row:
        if row:
            reconciling.run(row.about, row.tenant_id, turn=row.attempts)


@shared_task(name="approvals.tasks.reopen")
def reopen(row_id: str, tenant_id: str) -> None:
    with claimed(UUID(row_id), UUID(tenant_id)) as row:
        if row:
            rejudge.reopen(row.about, row.tenant_id)


@shared_task(name="approvals.tasks.announce")
def announce(row_id: str, tenant_id: str) -> None:
    with claimed(UUID(row_id), UUID(tenant_id)) as row:
        if row:
            notifications.announce(row)


@shared_task(name="approvals.tasks.deliver")
def deliver(row_id: str, tenant_id: str) -> None:
    with claimed(UUID(row_id), UUID(tenant_id)) as row:
        if row:
            notifications.deliver(row)


@shared_task(name="approvals.tasks.mail")
def mail(row_id: str, tenant_id: str) -> None:
    with claimed(UUID(row_id), UUID(tenant_id)) as row:
        if row:
            letters.send(row)


@shared_task(name="approvals.tasks.look")
def look(row_id: str, tenant_id: str) -> None:
    with claimed(UUID(row_id), UUID(tenant_id)) as row:
        if row:
            fresh_look.look(row.about, row.tenant_id)


@shared_task(name="approvals.tasks.undo")
def undo(row_id: str, tenant_id: str) -> None:
    with claimed(UUID(row_id), UUID(tenant_id)) as row:
        if row:
            undo_order.file(row.about, row.tenant_id)
