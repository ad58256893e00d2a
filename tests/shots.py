"""`python -m tests.shots`: every page at 360, 768 and 1440 pixels in both themes, into `.shots/`.

With names (`make shots ARGS="queue course"`) only of these; tests/journeys/scenes.py and moments.py have them.
"""

import os
import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    os.environ["SHOTS_OF"] = " ".join(sys.argv[1:])
    # pytest lends the servers and the world that the pages show.
    sys.exit(pytest.main([str(Path(__file__).parent / "journeys" / "shots.py"), "-p", "no:xdist"]))
