import subprocess
import sys
from pathlib import Path

import policies


def test_the_rule_engine_loads_without_the_service_around_it() -> None:
    program = """
import sys
import policies.documents, policies.judge
print(sorted({name.partition(".")[0] for name in sys.modules} & {"django", "celery", "mcp", "approvals"}))
"""
    home = Path(policies.__file__).parents[1]
    finished = subprocess.run(
        [sys.executable, "-c", program], cwd=home, capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == "[]"
