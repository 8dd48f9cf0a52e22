"""A pytest plugin: workers compile our modules together, and collect without looking for garbage.

In a fresh clone each of them would compile every module and rewrite the assertions of every test: the same, at the same
time, for ten seconds of a processor. So each begins with a share of its own; it finds the others' in the cache.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    worker = getattr(session.config, "workerinput", None)
    if worker is not None and not sys.dont_write_bytecode:
        number, count = int(worker["workerid"].removeprefix("gw")), worker["workercount"]
        for path in _modules(session.config)[number::count]:
            # What is wrong with a module is told where it is imported.
            with suppress(ImportError, SyntaxError):
                _compile(path)
    # Little of what is made meanwhile ends before the tests do.
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def _modules(config: pytest.Config) -> list[Path]:
    """Return the files of our modules, those of tests last; none unless whole rooms are to be tested."""
    rooms = [path for path in map(Path, config.args) if path.is_dir()]
    ours = [path.parent for path in config.rootpath.glob("*/__init__.py")] if rooms else []
    return [path.absolute() for folder in (*ours, *rooms) for path in sorted(folder.rglob("*.py"))]


def _compile(path: Path) -> None:
    """Have a module in the cache, as whatever is to import it caches it."""
    name = path.stem
    for finder in sys.meta_path:
        spec = finder.find_spec(name, [str(path.parent)])
        if spec is None or spec.origin != str(path) or spec.loader is None:
            continue
        if isinstance(spec.loader, SourceFileLoader):
            spec.loader.get_code(name)
            return
        # Pytest's has no other way in; without builtins a module goes no further than to its first import.
        module = ModuleType(name)
        module.__spec__ = spec
        vars(module)["__builtins__"] = {}
        spec.loader.exec_module(module)
        return
