"""Claim and facts as lists of named values, as exactly as they were written down."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from approvals.actions.money import display
from approvals.characters import shown
from approvals.payloads import REDACTED


@dataclass(frozen=True)
class Amount:
    """Money for people, and the exact number behind it in minor units of an ISO 4217 currency."""

    text: str
    minor: int
    currency: str


@dataclass(frozen=True)
class Field:
    """One value under its dotted name. `claimed` is what the agent said under the same name, where it did."""

    name: str
    value: str
    amount: Amount | None = None
    claimed: str | None = None
    is_truth: bool = False  # true or false, and no text of that spelling
    is_unknown: bool = False  # null: whoever was asked does not know it

    @property
    def agrees(self) -> bool:
        return self.claimed == self.value

    @property
    def shown(self) -> tuple[str, ...]:
        """What a page shows of it, piece by piece (reviewer/field.html)."""
        if self.amount:
            own: tuple[str, ...] = (self.amount.text, self.value)
        elif self.is_truth:
            own = ("yes" if self.value == "true" else "no", self.value)
        elif self.is_unknown:
            own = ("not known", self.value)
        else:
            own = (shown(self.value) or "empty",)
        if self.claimed is None:
            return own
        return (*own, "as claimed") if self.agrees else (*own, "claimed:", shown(self.claimed))


def fields(document: str, order: Iterable[str] = ()) -> tuple[Field, ...]:
    """The values of a JSON object, nested ones as `address.city`: those named in `order` first, and as ordered."""
    places = {name: place for place, name in enumerate(order)}
    written = json.loads(document)
    values = dict(sorted(written.items(), key=lambda item: places.get(item[0], len(places))))
    return tuple(
        Field(
            name,
            _text(value),
            _amount(name, value, values),
            is_truth=isinstance(value, bool),
            is_unknown=value is None,
        )
        for name, value in _flat(values)
    )


def compared(facts: tuple[Field, ...], claims: tuple[Field, ...]) -> tuple[Field, ...]:
    """The facts, each with the claim of the same name. Of two that are left out nobody can tell whether they agree."""
    said = {claim.name: claim.value for claim in claims if claim.value != REDACTED}
    return tuple(replace(fact, claimed=said.get(fact.name)) for fact in facts)


def amount(minor: int | None, currency: str) -> Amount | None:
    return None if minor is None else Amount(display(minor, currency), minor, currency)


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _amount(name: str, value: object, values: Mapping[str, object]) -> Amount | None:
    """Amounts are named `..._minor`, and their currency stands beside them."""
    if not name.endswith("_minor") or not isinstance(value, int):
        return None
    codes = [values[key] for key in values if key == "currency" or key.endswith("_currency")]
    return amount(value, str(codes[0])) if codes else None
