"""How votes fill places: pure."""

from hypothesis import given
from hypothesis import strategies as st

from approvals.stages import tally
from policies.verdicts import Stage

LEAD, FINANCE = Stage("lead", 1), Stage("finance", 1)
BOOKS_LATER = Stage("finance", 1, step=2)
Voter = tuple[str, frozenset[str]]


def voter(name: str, *roles: str) -> Voter:
    return name, frozenset(roles)


def fits(ballot: Voter, role: str) -> bool:
    return role in ballot[1]


def count(stages: tuple[Stage, ...], *ballots: Voter, ties: tuple[str, ...] = ()) -> tuple[Stage, ...]:
    return tally(stages, ballots, fits, lambda one, other: {one[0], other[0]} <= set(ties)).open


def test_somebody_with_two_roles_never_blocks_the_other() -> None:
    both, lead = voter("both", "lead", "finance"), voter("lead", "lead")
    assert count((LEAD, FINANCE), both, lead) == ()
    assert count((LEAD, FINANCE), both) == (FINANCE,)


def test_a_later_step_counts_only_what_is_cast_after_the_earlier_one_was_full() -> None:
    lead, books = voter("lead", "lead"), voter("books", "finance")
    assert count((LEAD, BOOKS_LATER), lead, books) == ()
    assert count((LEAD, BOOKS_LATER), books, lead) == (BOOKS_LATER,)


def test_the_order_of_stages_in_a_document_is_not_that_of_their_steps() -> None:
    assert count((BOOKS_LATER, LEAD)) == (LEAD, BOOKS_LATER)


def test_one_person_fills_one_place_of_all_steps() -> None:
    both = voter("both", "lead", "finance")
    assert count((LEAD, BOOKS_LATER), both) == (BOOKS_LATER,)


def test_two_that_count_as_one_fill_one_place() -> None:
    two = Stage("lead", 2)
    a, b, c = (voter(name, "lead") for name in "abc")
    assert count((two,), a, b) == ()
    assert count((two,), a, b, ties=("a", "b")) == (LEAD,)
    assert count((two,), a, b, c, ties=("a", "b")) == ()
    assert count((LEAD, BOOKS_LATER), a, voter("b", "finance"), ties=("a", "b")) == (BOOKS_LATER,)


ROLES = st.sampled_from(["lead", "finance", "legal"])
STAGES = st.lists(
    st.builds(Stage, ROLES, st.integers(1, 2), st.integers(1, 3)),
    min_size=1,
    unique_by=lambda stage: stage.role,
)
VOTERS = st.lists(st.frozensets(ROLES), max_size=8)


@given(STAGES, VOTERS)
def test_as_many_are_counted_as_places_are_filled_and_nobody_twice(
    stages: list[Stage], voters: list[frozenset[str]]
) -> None:
    ballots = [(str(number), roles) for number, roles in enumerate(voters)]
    found = tally(stages, ballots, fits, lambda one, other: False)
    places = sum(stage.count for stage in stages)
    assert len(found.counted) == places - sum(stage.count for stage in found.open)
    assert len(set(found.counted)) == len(found.counted)


@given(STAGES, VOTERS, st.frozensets(ROLES))
def test_another_vote_at_the_end_never_opens_a_place(
    stages: list[Stage], voters: list[frozenset[str]], last: frozenset[str]
) -> None:
    ballots = [(str(number), roles) for number, roles in enumerate(voters)]
    before = tally(stages, ballots, fits, lambda one, other: False)
    after = tally(stages, [*ballots, ("last", last)], fits, lambda one, other: False)
    assert after.counted[: len(before.counted)] == before.counted
