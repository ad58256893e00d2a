"""What makes an exercise look like the requests that its reviewers know."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import ascii_lowercase, ascii_uppercase, digits

_dice = secrets.SystemRandom()
# A zero may become any digit; no other becomes one, so that a number never begins with it where none did.
_ALPHABETS = ("123456789", digits, ascii_lowercase, ascii_uppercase)


@dataclass(frozen=True)
class Known:
    """What reviewers know of an action: the currency that was asked for last, and the newest request's values."""

    currency: str
    values: Mapping[str, object] = field(default_factory=dict)

    def alike(self, name: str, otherwise: str) -> str:
        """A made-up id in the shape of the newest value of that name, or of `otherwise`: `pay_10001`, `pay_48213`.

        What stands before its last `_` or `-` is kept. It may happen to be a real one: nothing is looked up by it.
        """
        newest = self.values.get(name)
        shape = newest if isinstance(newest, str) and newest else otherwise
        kept = re.match(r"(.*[_-])?", shape, re.DOTALL)
        start = kept.end() if kept else 0
        return shape[:start] + "".join(_another(one) for one in shape[start:])


def _another(character: str) -> str:
    for alphabet in _ALPHABETS:
        if character in alphabet:
            return _dice.choice(alphabet)
    return character
