"""What the repository holds and ships, and that tests leave a clone as they found it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PLUGINS

ROOT = Path(__file__).parent.parent
SHIPPED = {"ap_connectors", *PLUGINS}

in_git = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="is not a git checkout")


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    return listed.stdout.splitlines()


@in_git
def test_few_folders_at_the_top() -> None:
    folders = {path.partition("/")[0] for path in tracked() if "/" in path}
    assert len([name for name in folders if not name.startswith(".")]) <= 15
    assert {name for name in folders if (ROOT / name / "__init__.py").exists()} - {"demo", "benchmarks"} == SHIPPED


def test_test_files_have_names_of_their_own() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names)), "pytest imports them by their names"


@pytest.mark.parametrize("package", sorted(SHIPPED))
def test_every_shipped_package_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()


@in_git
def test_files_of_runs_are_ignored() -> None:
    names = (
        "target-vicai-ledger.jsonl",
        "target-ivesk-ledger.jsonl",
        "rejects-20261121T120000Z.jsonl",
        "rejects-mapper-20261121T120000Z.jsonl",
        "output/warehouse.duckdb",
        "webhooks.db-wal",
    )
    assert not set(names) & set(tracked())
    ignored = subprocess.run(["git", "check-ignore", *names], cwd=ROOT, capture_output=True, encoding="utf-8")
    assert ignored.stdout.split() == list(names)


def test_every_supported_python_is_tested() -> None:
    supported = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    workflow = (ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8")
    (matrix,) = re.findall(r"python: \[(.*)\]", workflow)
    assert supported == re.findall(r"3\.\d+", matrix)


# The run of the whole suite: see `tests/clean_clone.py`.


def test_a_run_that_leaves_files_behind_fails(tmp_path: Path) -> None:
    """In a repository of its own, with a test that litters."""
    (tmp_path / "test_litter.py").write_text("import pathlib\ndef test(): pathlib.Path('left.jsonl').write_text('')\n")
    (tmp_path / "test_ledger.py").write_text(
        "import pathlib\ndef test(): pathlib.Path('x-ledger.jsonl').write_text('')\n"
    )
    (tmp_path / "test_tidy.py").write_text("def test(): pass\n")
    (tmp_path / ".gitignore").write_text("__pycache__/\n/*-ledger.jsonl\n")
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    outcomes = {}
    for name in ("test_tidy.py", "test_litter.py", "test_ledger.py"):
        done = run_pytest(tmp_path, name)
        outcomes[name] = (done.returncode, re.findall("left behind in the checkout: .. (.*)", done.stdout))
    assert outcomes == {
        "test_tidy.py": (0, []),
        "test_litter.py": (1, ["left.jsonl"]),
        "test_ledger.py": (1, ["x-ledger.jsonl"]),
    }


def run_pytest(folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.clean_clone", "-p", "no:cacheprovider", name]
    # Plugins of other packages take seconds to load.
    environment = {**os.environ, "CI": "true", "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8")
