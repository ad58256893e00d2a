"""What was left out of the redacted payload is told by no digest: each has a salt of its request in it, sealed as well.

Requests of before get one here, with the keys of PAYLOAD_KEYS, and new digests: a vote of before on what an agent asks
for no longer counts. What no key opens keeps its digests. Events are never rewritten: those of before keep theirs.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.apps.registry import Apps
from django.db import connection, migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from approvals import actions
from approvals.content import new_salt, salt_for
from approvals.database import grant, role
from approvals.errors import NotFound, PayloadUnreadable
from approvals.models.sealed import SealedText
from approvals.payload_keys import ring, seal, unseal
from approvals.payloads import salted

BATCH = 500
PROCESSES = ", ".join(
    f"'{role(process)}'".replace('"', "") for process in ("door", "web", "worker", "sweeper")
)

# Of the rows of both tables, those of one request at a time: they share its salt.
PARTS = """
SELECT 'approval_request', id, arguments, facts FROM approval_request WHERE id = %(id)s
UNION ALL SELECT 'revision', id, arguments, facts FROM revision WHERE request_id = %(id)s
"""

# Of the processes, none but the sweeper may update the column at all, and it may only take the salt away.
WALLS = f"""
ALTER TABLE approval_request ADD CONSTRAINT request_salt_is_sealed CHECK (
    CASE WHEN payload_erased_at IS NULL THEN (salt LIKE 'gAAAA%') IS TRUE ELSE salt IS NULL END
);
CREATE FUNCTION approval_request_salted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_user IN ({PROCESSES}) THEN
        RAISE EXCEPTION 'a request keeps its salt until its payload is erased' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approval_request_salted BEFORE UPDATE OF salt ON approval_request
    FOR EACH ROW WHEN (NEW.salt IS NOT NULL AND NEW.salt IS DISTINCT FROM OLD.salt)
    EXECUTE FUNCTION approval_request_salted();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_salted;
"""
ACCESS = grant("UPDATE (salt)", "approval_request", "sweeper")


def salt_what_is_there(_apps: Apps, _editor: BaseDatabaseSchemaEditor) -> None:
    """Every request whose payload is not erased. Raises SettingMissing where there are some and no key."""
    for requests in _unsalted():
        for pk, name in requests:
            _salt(pk, name)


def _unsalted() -> Iterator[list[tuple[Any, ...]]]:
    """In batches, each of them gone from the next question once it is salted."""
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id, action FROM approval_request WHERE salt IS NULL AND payload_erased_at IS NULL LIMIT %s",
                [BATCH],
            )
            rows = cursor.fetchall()
        if not rows:
            return
        ring()  # before anything is written
        yield rows


def _salt(pk: UUID, name: str) -> None:
    salt = _salt_for(name)
    with connection.cursor() as cursor:
        cursor.execute(PARTS, {"id": pk})
        rows = cursor.fetchall()
        try:
            clear = (
                [(table, row, unseal(args), unseal(facts)) for table, row, args, facts in rows]
                if salt
                else []
            )
        except PayloadUnreadable:
            salt, clear = "", []
        cursor.execute("UPDATE approval_request SET salt = %s WHERE id = %s", [seal(salt), pk])
        for table, row, args, facts in clear:
            cursor.execute(
                f"UPDATE {table} SET arguments_sha256 = %s, facts_sha256 = %s WHERE id = %s",  # noqa: S608
                [salted(salt, args), salted(salt, facts), row],
            )


def _salt_for(name: str) -> str:
    """As `content.salt_for`; of an action that is no longer offered, nobody knows what is sensitive."""
    try:
        return salt_for(actions.get(name))
    except NotFound:
        return new_salt()


class Migration(migrations.Migration):
    dependencies = [("approvals", "0040_search")]
    operations = [
        migrations.AddField("approvalrequest", "salt", SealedText()),
        migrations.RunPython(salt_what_is_there, migrations.RunPython.noop),
        migrations.RunSQL(WALLS + ACCESS, migrations.RunSQL.noop),
    ]
