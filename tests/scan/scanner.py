"""Looks for secrets in files, and names what it finds without repeating it."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.scan.known import Secret

# What is a secret by its looks, wherever it came from.
LOOKS = {
    "a bearer token": re.compile(r"\bbearer +[\w.~+/-]{16,}", re.IGNORECASE),
    "a signed token": re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}"),
    "a code or a token in an address": re.compile(r"[?&](?:code|access_token|refresh_token)=[\w.~+/-]{8,}"),
    "a token of an answer": re.compile(
        r"\b(?:access_token|refresh_token|client_secret|code_verifier|device_code)\b\W{1,6}[\w.~+/-]{16,}"
    ),
    "a webhook's secret": re.compile(r"\bwhsec_[\w+/=]{16,}"),
    "a Slack webhook": re.compile(r"hooks\.slack\.com/\w+/\w+"),
    "a password in a URL": re.compile(r"\b[a-z+]+://[^\s/:@\"']*:[^\s/@\"']{3,}@"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "an e-mail address": re.compile(r"[\w.+-]+@(?:[\w-]+\.)*example\.com"),
    # Not within a UUID or a fraction, whose digits look like one now and then.
    "a full card number": re.compile(
        r"(?<![\w.-])(?:4\d{3}|5[1-5]\d{2}|3[47]\d{2})[ -]?\d{4}[ -]?\d{4}[ -]?\d{3,4}(?![\w-])"
    ),
}
# After an escape such as \n in JSON, its letter is not part of the word.
_WORD = re.compile(r"(?:\\[nrtbf])?([\w-]{16,})")


@dataclass(frozen=True)
class Finding:
    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} holds {self.what}"


def scan(files: Path, secrets: Iterable[Secret], issued: Mapping[str, str]) -> list[Finding]:
    """Every secret in the files of a folder; `issued` maps the SHA-256 of tokens, in hex, to what they are."""
    spelled = {form: secret.name for secret in secrets for form in _forms(secret.value)}
    found = []
    for file in sorted(files.iterdir()):
        text = file.read_text(errors="replace")
        places = {*_literal(text, spelled), *_words(text, issued), *_looks(text)}
        found += [Finding(file.name, text.count("\n", 0, at) + 1, what) for at, what in sorted(places)]
    return found


def _forms(value: str) -> set[str]:
    """As it is, as in JSON, as in a URL."""
    return {value, json.dumps(value)[1:-1], quote(value, safe="")}


def _literal(text: str, spelled: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    for value, name in spelled.items():
        at = text.find(value)
        while at >= 0:
            yield at, name
            at = text.find(value, at + 1)


def _words(text: str, issued: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    for word in _WORD.finditer(text) if issued else ():
        if what := issued.get(hashlib.sha256(word[1].encode()).hexdigest()):
            yield word.start(1), what


def _looks(text: str) -> Iterator[tuple[int, str]]:
    for what, pattern in LOOKS.items():
        for match in pattern.finditer(text):
            if what != "a full card number" or _is_card(match[0]):
                yield match.start(), what


def _is_card(number: str) -> bool:
    """Luhn's check digit (ISO/IEC 7812-1)."""
    digits = [int(digit) for digit in reversed(number) if digit.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
