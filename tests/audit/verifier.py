"""`tools/verify_export.py`, run as whoever was given an export runs it: nothing of the service is on its path."""

import base64
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.scan import output

PROGRAM = Path(__file__).resolve().parents[2] / "tools" / "verify_export.py"
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


def verified(file: Path, signer: Ed25519PrivateKey, *more: str) -> subprocess.CompletedProcess[str]:
    """What it says of a file, for somebody who holds the public key of `signer`."""
    key = base64.b64encode(signer.public_key().public_bytes_raw()).decode()
    command = [sys.executable, "-I", str(PROGRAM), str(file), "--key", key, *more]
    done = subprocess.run(command, capture_output=True, text=True, cwd=file.parent, check=False)
    output.told("verify_export", done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done
