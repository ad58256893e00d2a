"""A break-glass is reviewed by somebody who is no part of what was pushed through, as a request is approved."""

from django.db import migrations

# As in 0021, and independent of the request, too.
REVIEWED = """
CREATE OR REPLACE FUNCTION break_glass_reviewed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM public.break_glass g
        JOIN public.approval_request r ON r.id = g.request_id AND r.tenant_id = g.tenant_id
        JOIN public.identity_membership m ON m.tenant_id = g.tenant_id AND m.role IN ('security', 'auditor')
        JOIN public.identity_person p ON p.id = m.person_id AND p.is_active
        WHERE g.id = NEW.break_glass_id AND g.tenant_id = NEW.tenant_id
            AND m.person_id = NEW.person_id AND g.person_id <> NEW.person_id
            AND NEW.person_id IS DISTINCT FROM r.person_id
            AND NEW.person_id IS DISTINCT FROM r.owner_id
            AND NEW.person_id IS DISTINCT FROM r.on_behalf_of_id
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a break-glass is reviewed by somebody else who watches' USING ERRCODE = 'check_violation';
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0022_facts_are_read_before")]
    operations = [migrations.RunSQL(REVIEWED, migrations.RunSQL.noop)]
