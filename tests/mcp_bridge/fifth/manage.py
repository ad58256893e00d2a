"""`manage.py` of a company that has put a fifth file into the folder of actions."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))

import manage  # noqa: E402
from mcp_bridge.wire import divert_stdout  # noqa: E402, F401 - importable before anything of ours


def actions_with_a_fifth_file() -> None:
    import approvals.actions

    approvals.actions.__path__.append(str(HERE))


if __name__ == "__main__":
    actions_with_a_fifth_file()
    manage.main()
