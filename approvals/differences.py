"""What differs between two revisions of a request, field by field."""

from dataclasses import dataclass

from approvals.fields import Field
from approvals.material import SECTIONS, Content


@dataclass(frozen=True)
class Difference:
    """One field that changed, came (`old` is None) or went (`new` is None)."""

    section: str
    name: str
    old: Field | None
    new: Field | None


def differences(old: Content, new: Content) -> tuple[Difference, ...]:
    """In the order of the page; what is gone stands behind what is there. In a scope of their tenant."""
    found = [one for section in SECTIONS for one in _of_section(section, old, new)]
    if old.policy_version_id != new.policy_version_id:
        found.append(Difference("rule", "policy version", _version(old), _version(new)))
    return tuple(found)


def _of_section(section: str, old: Content, new: Content) -> list[Difference]:
    before, after = ({field.name: field for field in SECTIONS[section](of)} for of in (old, new))
    names = [*after, *(name for name in before if name not in after)]
    both = [(name, before.get(name), after.get(name)) for name in names]
    return [Difference(section, name, was, now) for name, was, now in both if _value(was) != _value(now)]


def _value(field: Field | None) -> tuple[str, str] | None:
    """What counts as a change: its value, and the money that it is. Not what was claimed beside it."""
    return None if field is None else (field.value, field.amount.text if field.amount else "")


def _version(of: Content) -> Field | None:
    return Field("policy version", str(of.policy_version.number)) if of.policy_version else None
