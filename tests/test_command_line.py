"""What we tell somebody to type works as it stands."""

import re
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

from approvals.command_line import command_line

ROOT = Path(settings.BASE_DIR)
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")]


@pytest.mark.parametrize("folder", [ROOT, ROOT / "docs", Path("/")])
def test_a_line_that_we_print_runs_in_the_folder_where_it_was_printed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    line = command_line("states", "--help")
    assert folder != ROOT or " manage.py states --help" in line
    told = subprocess.run(line, shell=True, cwd=folder, capture_output=True, text=True, timeout=60)
    assert (told.returncode, told.stderr) == (0, "") and told.stdout.startswith("usage: manage.py states")


def test_a_line_to_type_in_the_documents_names_a_python_that_has_our_packages() -> None:
    """`manage.py` is no program, and the Python of the machine has no Django."""
    typed = re.compile(r"^ {4,}(?:[A-Z_]+=\S* )*(\S*)(?: -m)? ?(?:manage\.py |deploy\.shop )", re.MULTILINE)
    found = [(page.name, match[1]) for page in PAGES for match in typed.finditer(page.read_text())]
    assert len(found) > 5
    assert [one for one in found if one[1] != ".venv/bin/python"] == []


def test_our_sentences_do_not_tell_to_type_what_does_not_run() -> None:
    told = re.compile(r"(?<!`)manage\.py [a-z_]+(?!.*\bhelp\b)")
    sentences = [*ROOT.glob("approvals/**/*.py"), *ROOT.glob("mcp_bridge/**/*.py")]
    found = [
        (file.name, line.strip())
        for file in sentences
        for line in file.read_text().splitlines()
        if told.search(line) and not line.lstrip().startswith("#")
    ]
    assert found == []
