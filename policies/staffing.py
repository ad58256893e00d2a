"""Whether the people that a tenant has could ever fill a rule's stages."""

from collections.abc import Iterable, Mapping, Set

from .verdicts import Stage

# Who holds each reviewer role: ids of people.
Staff = Mapping[str, Set[str]]


def missing(stages: Iterable[Stage], staff: Staff) -> tuple[Stage, ...]:
    """The stages that stay open when everybody agrees, each with how many people are missing.

    One person fills one place, whatever roles they hold: a maximum bipartite matching of people and places.
    """
    places = [stage.role for stage in stages for _ in range(stage.count)]
    holder: dict[int, str] = {}

    def place(person: str, tried: set[int]) -> bool:
        for index, role in enumerate(places):
            if person in staff.get(role, ()) and index not in tried:
                tried.add(index)
                if index not in holder or place(holder[index], tried):
                    holder[index] = person
                    return True
        return False

    for person in sorted({person for role in places for person in staff.get(role, ())}):
        place(person, set())
    empty = [role for index, role in enumerate(places) if index not in holder]
    return tuple(Stage(role, empty.count(role)) for role in dict.fromkeys(empty))


def complaint(stages: tuple[Stage, ...], gap: Stage, staff: Staff) -> str:
    """What is wrong with a stage that `missing` names, and what to do."""
    wanted = next(stage for stage in stages if stage.role == gap.role)
    there = len(staff.get(gap.role, ()))
    if there < wanted.count:
        return (
            f"The stage '{gap.role}' needs {_people(wanted.count)}, and {_holders(there)} that role here. "
            f"Give it to {wanted.count - there} more, or ask for fewer."
        )
    # Roles that share people: alone each stage could be filled, together they cannot.
    roles = " and ".join(f"'{stage.role}'" for stage in stages)
    return (
        f"One person fills one place, and {roles} together need {_people(sum(each.count for each in stages))}: "
        f"for '{gap.role}' {gap.count} of them {'is' if gap.count == 1 else 'are'} missing. "
        "Give a role to somebody else too, or ask for fewer."
    )


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} different people"


def _holders(count: int) -> str:
    return "nobody has" if count == 0 else "1 person has" if count == 1 else f"{count} people have"
