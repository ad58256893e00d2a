"""The text of a policy, read as untrusted YAML: plain values, and the place where each of them stands.

Read with YAML's failsafe schema (YAML 1.2.2, section 10.1): every scalar is text as written, so `no` and
`0x10` mean what they look like. Anchors, aliases, tags, repeated keys and hidden characters are refused.
"""

from functools import cached_property
from typing import Any

import yaml

from .errors import PolicyError
from .hidden import is_hidden

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16
MAX_VALUES = 30_000  # keys and values: what a text of that size takes a second to read

Path = tuple[str | int, ...]


class Source:
    """A document's text, its plain values in `tree`, and where each stands."""

    def __init__(self, text: str, name: str, *, of: str = "policy") -> None:
        """Raises PolicyError for a text that is not plain, safe YAML. Errors begin with `name`; `of` is what it is."""
        self.name = name
        self._of, self._a = of, f"An {of}" if of[0] in "aeiou" else f"A {of}"
        self._nodes: dict[Path, yaml.Node] = {}
        self._keys: dict[Path, yaml.Node] = {}
        if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
            raise self.error(f"{self._a} has at most {MAX_BYTES // 1024} KiB; split it.", 1, 1)
        # Some editors put a byte order mark in front, and two characters at the end of a line. Alone, the first of them
        # ends a line for YAML and for no reader: what stands behind it would pass for the end of a comment.
        self.text = text.removeprefix("\ufeff").replace("\r\n", "\n")
        self._refuse_hidden(self.text, None)
        self.tree = self._parsed()

    def error(self, message: str, line: int, column: int) -> PolicyError:
        """A PolicyError about this document, to be raised."""
        return PolicyError(message, line, column, self.name)

    def error_at(self, path: Path, message: str) -> PolicyError:
        """A PolicyError about the value at the path, or about its nearest parent that was written down."""
        while path not in self._nodes and path:
            path = path[:-1]
        return self.error(message, *self._place(self._nodes.get(path)))

    def error_at_key(self, path: Path, message: str) -> PolicyError:
        """A PolicyError about the key at the path, rather than about its value."""
        if path not in self._keys:
            return self.error_at(path, message)
        return self.error(message, *self._place(self._keys[path]))

    def error_within(self, path: Path, message: str, line: int, column: int) -> PolicyError:
        """A PolicyError about a place inside the text at the path: `line` and `column` count from 1 in it.

        Folding and escapes move characters about: then the beginning of the text is named.
        """
        node = self._nodes[path]
        lines = self.text[node.start_mark.index : node.end_mark.index].split("\n")
        wanted = str(node.value).split("\n")[line - 1 : line]
        row = line if getattr(node, "style", None) == "|" else line - 1
        if not wanted or row >= len(lines) or wanted[0] not in lines[row]:
            return self.error_at(path, message)
        indent = lines[row].index(wanted[0])
        first = node.start_mark.column if row == 0 else 0
        return self.error(message, node.start_mark.line + row + 1, first + indent + column)

    def is_quoted(self, path: Path) -> bool:
        """Whether the text at the path was written in quotes, or as a block: it is meant as a text then."""
        return bool(getattr(self._nodes[path], "style", None))

    def comment_above(self, path: Path) -> str:
        """The text of the `# ...` lines that stand directly above the value at the path; "" where none does.

        YAML drops comments, so they are read from the text.
        """
        lines, row = self._lines, self._nodes[path].start_mark.line
        while (
            row and lines[row - 1].strip() == "-"
        ):  # the dash of a list's entry may stand on a line of its own
            row -= 1
        found: list[str] = []
        while row and lines[row - 1].lstrip().startswith("#") and row - 1 not in self._inside_text:
            row -= 1
            found.insert(0, lines[row].strip().lstrip("#").strip())
        return "\n".join(found).strip("\n")

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def _inside_text(self) -> set[int]:
        """The rows that a text which spans lines goes on in: there, `#` begins no comment."""
        return {
            row
            for node in self._nodes.values()
            if isinstance(node, yaml.ScalarNode)
            for row in range(node.start_mark.line + 1, node.end_mark.line + (node.end_mark.column > 0))
        }

    def _parsed(self) -> Any:
        try:
            self._refuse_tricks()
            root = yaml.compose(self.text, Loader=yaml.BaseLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self.error(f"This is not YAML: {error.problem}.", *self._position(mark)) from error
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            # PyYAML lets a few of Python's own errors through, such as chr() of an impossible escape.
            raise self.error(f"This is not YAML: {str(error).partition(chr(10))[0]}.", 1, 1) from error
        if root is None:
            raise self.error(f"The document is empty. Begin with `{self._of}: 1`.", 1, 1)
        return self._plain(root, ())

    def _refuse_tricks(self) -> None:
        """What makes YAML dangerous, seen while nothing is built yet."""
        depth = documents = values = 0
        for event in yaml.parse(self.text, Loader=yaml.BaseLoader):
            values += isinstance(event, yaml.NodeEvent)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            documents += isinstance(event, yaml.DocumentStartEvent)
            place = self._position(event.start_mark)
            if getattr(event, "anchor", None) is not None:
                raise self.error("Anchors and aliases are not allowed; write the value out.", *place)
            if getattr(event, "tag", None) is not None:
                raise self.error("Tags are not allowed; remove the word that begins with '!'.", *place)
            if depth > MAX_DEPTH:
                raise self.error(
                    f"Nested more than {MAX_DEPTH} deep; {self._a.lower()} is flatter than that.", *place
                )
            if values > MAX_VALUES:
                raise self.error(f"{self._a} has at most {MAX_VALUES:,} keys and values; split it.", *place)
            if documents > 1:
                raise self.error(f"One file holds one {self._of}; remove the second '---'.", *place)

    def _plain(self, node: yaml.Node, path: Path) -> Any:
        self._nodes[path] = node
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(element, (*path, index)) for index, element in enumerate(node.value)]
        self._refuse_hidden(node.value, node)
        return node.value

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self.error("A key must be a word.", *self._place(key))
            if key.value in values:
                raise self.error(f"'{key.value}' is written twice here; keep one.", *self._place(key))
            self._keys[*path, key.value] = key
            values[key.value] = self._plain(value, (*path, key.value))
        return values

    def _refuse_hidden(self, text: str, node: yaml.Node | None) -> None:
        """People sign what they see: nothing that shows nothing or reorders what stands beside it, raw or by escape."""
        for index, character in enumerate(text):
            if is_hidden(character) and character != "\t":
                before = text[:index].split("\n")
                place = self._place(node) if node else (len(before), len(before[-1]) + 1)
                raise self.error(f"Hidden character U+{ord(character):04X}; remove it.", *place)

    def _place(self, node: yaml.Node | None) -> tuple[int, int]:
        return self._position(node.start_mark if node else None)

    @staticmethod
    def _position(mark: Any) -> tuple[int, int]:
        return (mark.line + 1, mark.column + 1) if mark else (1, 1)
