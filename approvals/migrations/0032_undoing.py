"""A request may undo another one: linked as it is filed, to one of its own tenant that was carried out, and for ever.

At most one such request is open or carried out for each that it undoes: an index, so exact however many are filed at
once. Whoever stands behind the request that is undone is no judge of the other one: the quorum is counted without them.
"""

from importlib import import_module

import django.db.models.deletion
from django.db import migrations, models

# As `models.requests.UNDOING`.
UNDOING = ("approved", "changes_requested", "executing", "pending", "stale", "succeeded", "uncertain")

# As the owner, for the door sees the requests of one agent alone, and a scope can change while a statement runs. An
# agent undoes what it asked for itself. No exercise is ever carried out, so none is undone.
LINKED = """
CREATE FUNCTION approval_request_undoes() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION 'what a request undoes is said as it is filed' USING ERRCODE = 'check_violation';
    ELSIF NEW.id = NEW.undoes_id OR NOT EXISTS (
        SELECT FROM public.approval_request o
        WHERE o.id = NEW.undoes_id AND o.tenant_id = NEW.tenant_id AND o.status = 'succeeded'
            AND (NEW.agent_id IS NULL OR o.agent_id = NEW.agent_id)
    ) THEN
        RAISE EXCEPTION 'a request undoes one of its own company, or of its own agent, that was carried out'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approval_request_undoes BEFORE INSERT ON approval_request
    FOR EACH ROW WHEN (NEW.undoes_id IS NOT NULL) EXECUTE FUNCTION approval_request_undoes();
CREATE TRIGGER approval_request_undoes_stays BEFORE UPDATE ON approval_request
    FOR EACH ROW WHEN (OLD.undoes_id IS DISTINCT FROM NEW.undoes_id) EXECUTE FUNCTION approval_request_undoes();
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_undoes;
ALTER TABLE approval_request ENABLE ALWAYS TRIGGER approval_request_undoes_stays;
"""

_BEFORE: str = import_module("approvals.migrations.0021_break_glass").QUORUM
_JUDGES = "ARRAY[NEW.person_id, NEW.owner_id, NEW.on_behalf_of_id, NEW.editor_id]"
_NOR_THESE = """ || (
        SELECT ARRAY[o.person_id, o.owner_id, o.on_behalf_of_id, o.editor_id]
        FROM public.approval_request o WHERE o.id = NEW.undoes_id
    )"""


def _quorum() -> str:
    if _BEFORE.count(_JUDGES) != 1:
        raise LookupError("the quorum of 0021 has changed")
    return _BEFORE.replace(_JUDGES, _JUDGES + _NOR_THESE)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0027_activations_escalate_to_nobody"), ("audit", "0007_people_take_back")]
    operations = [
        migrations.AddField(
            "approvalrequest",
            "undoes",
            models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="undone_by",
                to="approvals.approvalrequest",
            ),
        ),
        migrations.AddConstraint(
            "approvalrequest",
            models.UniqueConstraint(
                condition=models.Q(status__in=UNDOING), fields=("undoes",), name="one_undoing_a_request"
            ),
        ),
        migrations.RunSQL(LINKED + _quorum(), migrations.RunSQL.noop),
    ]
