"""The rooms of the house: who may import whom, held by import-linter from `pyproject.toml`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.limits import LIMIT_S

ROOT = Path(__file__).parent.parent
LINTER = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        LINTER,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "1000"},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )


def test_every_rule_is_kept() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "forbidden", "reason"),
    [
        ("harness/check/verdict.py", "import httpx", "recheck gives the same verdict from the file alone"),
        ("harness/drive/stage.py", "import harness.check", "who sends the requests must not decide what is right"),
        ("harness/model/nouns.py", "import reference_server.rules", "written apart from any server"),
        ("reference_server/rules.py", "import harness.model", "two readings of one contract"),
        ("harness/report/result.py", "import harness.drive", "can change nothing"),
    ],
)
def test_a_broken_rule_is_named_with_its_reason(module: str, forbidden: str, reason: str, tmp_path: Path) -> None:
    for package in ("harness", "reference_server"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / module).open("a") as file:
        file.write(f"\n{forbidden}\n")
    done = lint(tmp_path)
    assert done.returncode != 0
    assert reason in " ".join(done.stdout.split())
    assert "BROKEN" in done.stdout


def test_every_module_is_in_a_room() -> None:
    assert [path.name for path in ROOT.glob("*.py")] == []
