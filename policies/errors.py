"""The one refusal of this package that a policy's author meets."""


class PolicyError(Exception):
    """The policy document cannot be used. The message says where and what to change.

    `line` and `column` count from 1, in characters, as editors show them.
    """

    def __init__(self, message: str, line: int, column: int, source: str = "policy") -> None:
        super().__init__(f"{source}:{line}:{column}: {message}")
        self.message = message
        self.line = line
        self.column = column
        self.source = source
