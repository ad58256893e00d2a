"""What was on a reviewer's screen, as a text that a vote carries back: what you saw is what you signed.

    revision : arguments : facts : rule : all that is shown

Each part but the first is a SHA-256, made from what is stored now with the request's salt before it: a vote's digest,
which is kept for ever, confirms no guess of what was seen. The last one covers every material field as the
page shows it, the marks of hidden characters included (`material.rows`). The vote keeps the digest of the whole text.
"""

from approvals.differences import differences
from approvals.material import rows
from approvals.models import ApprovalRequest, Revision
from approvals.payloads import canonical, salted

NAMES = ("the revision", "what is asked for", "what was looked up", "the rule", "how it is shown")
# Of a section of the page, the part that it belongs to; a section that is not here belongs to the rule.
PART_OF = {"claimed": "what is asked for", "looked up": "what was looked up"}


def seen(request: ApprovalRequest) -> str:
    """Of the request as it is now."""
    rule = {
        "id": str(request.pk),
        "action": request.action,
        "verdict": request.verdict,
        "policy_version": str(request.policy_version_id or ""),
    }
    screen = {"rows": [[row.section, row.name, *row.shown] for row in rows(request)]}
    parts = (request.arguments, request.facts, canonical(rule), canonical(screen))
    return ":".join([str(request.revision), *(salted(request.salt, part) for part in parts)])


def changed(then: str, request: ApprovalRequest) -> str:
    """What differs between what a page showed and what is true, in words; "" when nothing does.

    Where the request has a new revision since, the fields are named.
    """
    now, parts = seen(request).split(":"), then.split(":")
    if len(parts) != len(now):
        return "the page"
    found = [name for name, old, new in zip(NAMES, parts, now, strict=True) if old != new]
    if len(found) > 1 and found[-1] == NAMES[-1]:
        found.pop()  # it follows from the others
    fields = _fields(parts[0], request)
    return " and ".join(f"{name} ({fields[name]})" if name in fields else name for name in found)


def _fields(revision: str, request: ApprovalRequest) -> dict[str, str]:
    """The names of the fields that changed since an earlier revision, by part; in a scope of the request's tenant."""
    if not (revision.isascii() and revision.isdigit() and int(revision) < request.revision):
        return {}
    before = (
        Revision.objects.select_related("request").filter(request=request, revision=int(revision)).first()
    )
    names: dict[str, list[str]] = {}
    for one in differences(before, request) if before else ():
        words = one.name.removesuffix("_minor").replace("_", " ")
        names.setdefault(PART_OF.get(one.section, "the rule"), []).append(words)
    return {part: ", ".join(those) for part, those in names.items()}
