"""An activation is decided by operators, and goes on to nobody else when time passes: not even as pages file it.

A rule of a document cannot say otherwise (`stricter` keeps an escalation only where both have one, and the built-in
rule has none); this is for a process that was taken over.
"""

import importlib

from django.db import migrations

_filed: str = importlib.import_module("approvals.migrations.0015_policy_versions").FILED
_OLD = "NEW.verdict->>'kind' = 'require' AND EXISTS ("
_NEW = """NEW.verdict->>'kind' = 'require'
        AND jsonb_typeof(NEW.verdict->'escalation') IS DISTINCT FROM 'object' AND EXISTS ("""


def _function(escalates_to_nobody: bool) -> str:
    """The trigger's function alone; the trigger stays."""
    function = _filed[: _filed.index("$$;") + 3].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)
    if _OLD not in function:
        raise LookupError("the trigger of 0015 has changed")
    return function.replace(_OLD, _NEW, 1) if escalates_to_nobody else function


class Migration(migrations.Migration):
    dependencies = [("approvals", "0026_no_stop_revives")]
    operations = [migrations.RunSQL(_function(True), _function(False))]
