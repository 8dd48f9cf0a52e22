"""The story that the demo tells: everything, then nothing new, then only what changed."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ap_sandbox.process import SandboxProcess
from demo import plugins, source
from demo.books import Books
from demo.meltano import Meltano, Run

DOCUMENTS = 400
ADDED = 25
AGAIN = 3

Say = Callable[[str, str], None]


@dataclass(frozen=True)
class Places:
    """What the demo leaves in its folder."""

    folder: Path

    @property
    def warehouse(self) -> Path:
        """The DuckDB file."""
        return self.folder / "warehouse.duckdb"

    @property
    def documents(self) -> Path:
        """The folder of the PDFs."""
        return self.folder / "documents"

    @property
    def log(self) -> Path:
        """All that Meltano said."""
        return self.folder / "meltano.log"

    @property
    def system(self) -> Path:
        """What Meltano remembers between the runs."""
        return self.folder / "meltano"

    def clear(self) -> None:
        """Removes what an earlier demo left."""
        for folder in (self.documents, self.system):
            if folder.exists():
                shutil.rmtree(folder)
        for file in (self.warehouse, self.warehouse.with_name("warehouse.duckdb.wal"), self.log):
            file.unlink(missing_ok=True)


@dataclass(frozen=True)
class Act:
    """One run, and the records by stream that it should have read."""

    name: str
    run: Run
    expected: dict[str, int]


@dataclass(frozen=True)
class Evidence:
    """What the source holds at the end, and what the runs have read."""

    source: Books
    acts: tuple[Act, ...]


def play(places: Places, say: Say) -> Evidence:
    """Installs, serves, runs and runs again; `say` gets a title when something begins, and then what came of it."""
    places.clear()
    say("Plugins", "")
    names = ("tap-ivesk", "target-duckdb")
    say("", f"{' and '.join(names)} {'installed' if plugins.ensure(*names) else 'are installed already'}")

    say("Sandbox", "")
    with SandboxProcess(DOCUMENTS) as sandbox:
        everything = source.read(sandbox.control)
        say("", f"Įvesk at {sandbox.url}; {len(everything.documents)} of {DOCUMENTS} documents are exported")
        meltano = Meltano(
            places.system,
            places.log,
            {
                "TAP_IVESK_API_URL": sandbox.ivesk_url,
                "TAP_IVESK_API_KEY": sandbox.api_key,
                "TAP_IVESK_DOCUMENTS_DIR": str(places.documents),
                "TARGET_DUCKDB_PATH": str(places.warehouse),
            },
        )

        def act(name: str, news: Books) -> Act:
            say(name, "")
            run = meltano.run("tap-ivesk", "target-duckdb")
            say("", _told(run))
            return Act(name, run, _records(news))

        first = act("First run", everything)
        second = act("Second run", Books({}, {}))
        say("Meanwhile", "")
        changed = {*sandbox.control.add(ADDED), *sandbox.control.export(count=AGAIN)}
        say("", f"{ADDED} new documents are exported, and {AGAIN} old ones once more")
        at_last = source.read(sandbox.control)
        news = {key: document for key, document in at_last.documents.items() if key in changed}
        third = act("Third run", Books(news, {}))
    return Evidence(at_last, (first, second, third))


def _records(news: Books) -> dict[str, int]:
    documents = len(news.documents)
    return {"exported_documents": documents, "exported_document_lines": news.lines, "document_files": documents}


def _told(run: Run) -> str:
    read = [run.records.get(stream, 0) for stream in _records(Books({}, {}))]
    if not any(read):
        return "nothing new, so nothing read"
    return "{} documents, {} lines, {} PDFs".format(*read)
