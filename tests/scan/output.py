"""The folder of a test run, where everything lies that a process of the run has written."""

import os
from pathlib import Path
from uuid import uuid4

# In the environment, so that the processes of pytest-xdist share it.
FOLDER = "COUNTERSIGN_SECRET_SCAN"


def folder(part: str) -> Path | None:
    """`output`, `secrets` or `issued`; None outside of a test run, where nobody scans."""
    return Path(os.environ[FOLDER]) / part if FOLDER in os.environ else None


def keep(*paths: Path) -> None:
    """These files are outputs: as they are, with whatever is added to them, and also when they are deleted."""
    if into := folder("output"):
        for path in paths:
            os.link(path, into / f"{path.parent.name}-{path.name}-{uuid4().hex[:8]}")


def told(name: str, *texts: str | None) -> None:
    """What a process said to a pipe is an output, too."""
    if into := folder("output"):
        (into / f"{name}-{uuid4().hex[:8]}").write_text("\n".join(text for text in texts if text))
