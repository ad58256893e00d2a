import subprocess
import sys


def test_the_rule_engine_loads_without_the_service_around_it() -> None:
    program = """
import sys
import policies.documents, policies.judge
print(sorted({name.partition(".")[0] for name in sys.modules} & {"django", "celery", "mcp", "approvals"}))
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"
