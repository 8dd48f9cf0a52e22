"""A pytest plugin: a run that does not leave the git checkout as it was fails in CI, and says so elsewhere."""

from __future__ import annotations

import os
import subprocess

import pytest

BEFORE = pytest.StashKey[str]()
CHANGED = pytest.StashKey[list[str]]()


def pytest_sessionstart(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):
        session.config.stash[BEFORE] = _status(session.config)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if BEFORE not in session.config.stash:
        return
    before, after = session.config.stash[BEFORE].splitlines(), _status(session.config).splitlines()
    session.config.stash[CHANGED] = list(dict.fromkeys(line for line in after if line not in before))
    # Elsewhere somebody may be editing while the tests run.
    if session.config.stash[CHANGED] and os.environ.get("CI") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in terminalreporter.config.stash.get(CHANGED, []):
        terminalreporter.write_line(f"left behind in the checkout: {line}", red=True)


def _status(config: pytest.Config) -> str:
    # And what runs leave where they are started, though git ignores it.
    ignored = ["--ignored", "--", ":(glob)*.jsonl", ":(glob)*.db", ":(glob)*.json"]
    return "".join(_git(config, "status", "--porcelain", *more) for more in (["--untracked-files=all"], ignored))


def _git(config: pytest.Config, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=config.rootpath, capture_output=True, encoding="utf-8")
    except OSError:
        return ""
    return done.stdout
