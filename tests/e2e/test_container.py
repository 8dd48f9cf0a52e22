"""The image: the steps of its Containerfile, in a root of their own that keeps all changes apart from this machine.

No image is built here, which would need base images from elsewhere; the instructions run one by one as a build runs
them, as the user that they name, on this machine's system and Python.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.preloaded import ROOT

LINTER = Path(sys.executable).parent / "hadolint"
OVERLAY = """\
mkdir -p {0}/up {0}/work {0}/root
mount -t overlay overlay -o lowerdir=/,upperdir={0}/up,workdir={0}/work {0}/root
mount --rbind /proc {0}/root/proc
mount --rbind /dev {0}/root/dev
"""


@dataclass
class Stage:
    """A stage of the build."""

    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)


def stages() -> list[Stage]:
    """Read the Containerfile."""
    found: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", (ROOT / "Containerfile").read_text("utf-8")).splitlines():
        if not line or line.startswith(("#", "ARG ")):
            continue
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            assert rest.startswith("python:"), "the steps are tried with a Python that is on the path"
            found.append(Stage(rest.rpartition(" AS ")[2]))
        else:
            found[-1].steps.append((instruction, rest))
    return found


REGISTRY = {
    name: value
    for name, value in os.environ.items()
    if name.startswith("PIP_") or name.lower().endswith("_proxy") or name in {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"}
}
"""How packages are reached here."""


def script(folder: Path, context: Path) -> tuple[str, str]:
    """Return what builds, and the beginning of a command in what was built."""
    lines, command, roots = ["set -eu"], "", {}
    for number, stage in enumerate(stages()):
        root = roots[stage.name] = folder / f"stage{number}" / "root"
        lines.append(OVERLAY.format(root.parent))
        # The Python of an image is everyone's; this one may lie in the home of root.
        lines += [f"chmod a+x {root}{parent}" for parent in Path(sys.base_prefix).parents]
        user, work = "0", "/"
        environment = {**REGISTRY, "PATH": f"{Path(sys.base_prefix, 'bin')}:/usr/sbin:/usr/bin:/sbin:/bin"}

        def inside(root: Path, user: str, environment: dict[str, str]) -> str:
            variables = " ".join(shlex.quote(f"{name}={value}") for name, value in environment.items())
            become = f"setpriv --reuid={user} --regid={user} --clear-groups"
            return f"chroot {root} {become} env -i HOME=/tmp {variables}"

        for instruction, rest in stage.steps:
            if instruction == "RUN":
                step = f"set -eu; mkdir -p {work}; cd {work}; {rest}"
                lines.append(f"{inside(root, user, environment)} sh -c {shlex.quote(step)}")
            elif instruction == "COPY":
                *source, origin, target = rest.split()
                start = roots[source[0].removeprefix("--from=")] if source else context
                lines.append(f"mkdir -p {root}{work} {root}{target if target != '.' else ''}")
                place = f"{root}{work}" if target == "." else f"{root}{target}"
                lines.append(f"cp -R {start}/{origin.lstrip('/') or '.'}/. {place}/")
            elif instruction == "ENV":
                for pair in shlex.split(rest):
                    name, _, value = pair.partition("=")
                    environment[name] = value.replace("$PATH", environment["PATH"])
            elif instruction == "USER":
                user = rest
            elif instruction == "WORKDIR":
                work = rest
            else:
                assert instruction == "CMD", f"teach this test what {instruction} does"
        command = f"{inside(root, user, environment)} sh -c "
    return "\n".join(lines), command


def context(folder: Path) -> Path:
    """Copy what git has and `.dockerignore` lets pass."""
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in files.split("\0"):
        if name and any(fnmatch.fnmatch(name.partition("/")[0], pattern) for pattern in allowed):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def _can_mount(folder: Path) -> bool:
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "chroot", "setpriv"))):
        return False
    return subprocess.run(["unshare", "-m", "sh", "-c", OVERLAY.format(folder)], capture_output=True).returncode == 0


def test_a_linter_finds_nothing() -> None:
    done = subprocess.run([LINTER, "--no-color", ROOT / "Containerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.campaign
@pytest.mark.long
def test_its_steps_make_commands_that_a_user_without_rights_runs(sandbox: SandboxProcess, tmp_path: Path) -> None:
    if not _can_mount(tmp_path / "probe"):
        pytest.skip("an overlay of the system cannot be mounted here (it takes root)")
    build, command = script(tmp_path, context(tmp_path / "context"))
    run = """
        for name in /opt/ap-connectors/bin/tap-* /opt/ap-connectors/bin/target-* /opt/ap-connectors/bin/ap-*
        do "$name" --version >/dev/null || "$name" --help >/dev/null; done
        ! touch /opt/ap-connectors/bin/tap-vicai 2>/dev/null
        cd /data
        tap-vicai --config=ENV --discover >catalog.json
        tap-vicai --config=ENV --catalog catalog.json | target-warehouse --config=ENV
        ap-sql --database warehouse.duckdb --csv 'SELECT count(*) FROM main.vendors'
        id -u
    """
    settings = {
        "TAP_VICAI_API_URL": sandbox.vicai_url,
        "TAP_VICAI_CLIENT_ID": sandbox.client_id,
        "TAP_VICAI_CLIENT_SECRET": sandbox.client_secret,
        "TARGET_WAREHOUSE_DATABASE": "warehouse.duckdb",
    }
    variables = "".join(f"export {name}={shlex.quote(value)}; " for name, value in settings.items())
    whole = f"{build}\n{command} {shlex.quote('set -eu; ' + variables + run)}"
    done = subprocess.run(["unshare", "-m", "sh", "-c", whole], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[-2:] == [str(len(sandbox.control.vicai.records("vendors"))), "10001"]
