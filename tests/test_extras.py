"""Without what its extra brings a command says in a line which one to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.campaign import one_in

HIDE = """
import runpy, sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""


def run(room: str, hidden: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = HIDE.format(hidden=hidden.split(), module=f"ap_connectors.{room}")
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)


@one_in(3)
@pytest.mark.parametrize(
    ("room", "hidden", "arguments"),
    [
        ("sandbox", "uvicorn", ()),
        ("sandbox", "starlette", ("--help",)),
        ("sandbox", "pydyf", ("--port", "0")),
        ("webhooks", "sqlalchemy", ("status",)),
        ("webhooks", "yaml", ("--version",)),
        ("fleet", "yaml", ("--version",)),
        ("tieout", "duckdb", ("ivesk-warehouse", "--config", "C", "--warehouse", "W")),
        ("tieout", "duckdb", ("vic-warehouse", "--config", "C", "--warehouse", "W")),
    ],
)
def test_a_missing_extra(
    room: str, hidden: str, arguments: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("extra")
    files = {"C": '{"api_key": "k", "client_id": "i", "client_secret": "s", "region": "no"}', "W": "no database"}
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
        (folder / name).chmod(0o600)
    done = run(room, hidden, *(str(folder / one) if one in files else one for one in arguments))
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"ap-{room}: {hidden} is not installed.")
    assert f"ap-connectors[{room}]" in line


def test_what_does_without_duckdb() -> None:
    done = run("tieout", "duckdb", "--version")
    assert done.returncode == 0
    assert done.stdout.startswith("ap-tieout ")
