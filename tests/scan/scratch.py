"""A data folder whose servers and stacks are part of the run that is scanned."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from approvals.management import embedded
from tests.scan import known, output


@contextmanager
def scratch() -> Iterator[Path]:
    """`embedded.scratch`; before it is gone, its logs become outputs and its secrets secrets of the run."""
    with embedded.scratch() as data:
        try:
            yield data
        finally:
            hand_over(data)


def hand_over(data: Path) -> None:
    """The logs and the secrets of a data folder, and of those that lie in it."""
    for each in (data, *filter(Path.is_dir, data.iterdir())):
        known.data_folder(each)
        output.keep(*each.glob("log/*.log"))
