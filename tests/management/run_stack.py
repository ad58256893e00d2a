"""`python -m tests.management.run_stack DATA CHECKOUT`: a supervisor to be signalled and killed by tests."""

import sys
from pathlib import Path

from approvals.management.development import stack


def main(data: Path, checkout: Path) -> None:
    try:
        with stack(data, checkout=checkout) as running:
            print(
                "all started",
                running.addresses.web,
                running.addresses.door,
                running.addresses.shop,
                flush=True,
            )
            running.wait()
    except KeyboardInterrupt:
        print("all stopped", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
