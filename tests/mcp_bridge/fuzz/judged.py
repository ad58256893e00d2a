"""What every answer has to be, whatever was asked."""

import json
from typing import Any

from tests.mcp_bridge.fuzz.wire import Answer

# docs/tools.md. 202 acknowledges a notification; 404 is a method that is not spoken here.
DOCUMENTED = frozenset({200, 202, 400, 401, 403, 404, 405, 406, 413, 415, 421})
# What is said before anybody speaks JSON-RPC: of bytes that are no HTTP, and of too many of them.
PLAIN = (b"Invalid HTTP request received.", b"Request body too large")
INTERNAL_ERROR = -32603
# Names of ours and of what we are built from, as a traceback, a path, a statement or a library would show them.
INSIDE = (
    "Traceback", "site-packages", 'File "', ".py", "/tmp/", "/usr/", "/work", "/home",
    "psycopg", "django", "Django", "pydantic", "starlette", "uvicorn", "celery", "redis",
    "SELECT ", "INSERT ", "UPDATE ", "approval_request", "identity_", "row-level", "ApprovalRequest",
    "mcp_bridge", "approvals.", "ValidationError", "ValueError", "TypeError", "KeyError", "DecodeError",
    "Exception", "object at 0x", "<class", "NoneType", "countersign_test",
)  # fmt: skip
DEFECT = "Error executing tool"


def judged(answer: Answer | None, *, sent: bytes) -> Any:
    """The JSON-RPC message of an answer, or None where there is none. Fails unless the answer is one of ours."""
    assert answer is not None, "the connection was closed without an answer"
    assert answer.status in DOCUMENTED, answer
    gives_away = [word for word in INSIDE if word in answer and word.encode() not in sent]
    assert not gives_away, (gives_away, answer)
    if answer.body in (b"", *PLAIN):
        return None
    message = strict(answer.body)
    assert message["jsonrpc"] == "2.0", message
    assert ("result" in message) != ("error" in message), message
    assert message.keys() <= {"jsonrpc", "id", "result", "error"}
    if "error" in message:
        assert isinstance(message["error"]["code"], int)
        assert isinstance(message["error"]["message"], str)
        assert message["error"]["code"] != INTERNAL_ERROR, message
    assert DEFECT not in answer, message
    return message


def strict(body: bytes) -> Any:
    """JSON as RFC 8259 has it: UTF-8, no NaN, no name twice, no half of a surrogate pair."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs), pairs
        return dict(pairs)

    def never(constant: str) -> Any:
        raise AssertionError(f"{constant} is no JSON")

    message = json.loads(body.decode("utf-8"), object_pairs_hook=once, parse_constant=never)
    json.dumps(message, ensure_ascii=False).encode("utf-8")
    return message
