"""`manage.py` of a company that has put a fifth file into the folder of actions. A program, not a test."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE.parents[1])

import approvals.actions
import manage

if __name__ == "__main__":
    approvals.actions.__path__.append(str(HERE / "fifth"))
    manage.main()
