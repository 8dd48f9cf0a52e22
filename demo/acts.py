"""What the parts of the story share: where things go, who tells, and what a run should have read."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from demo.meltano import Run

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
    def ivesk_documents(self) -> Path:
        """The folder of Įvesk's."""
        return self.documents / "ivesk"

    @property
    def vic_documents(self) -> Path:
        """The folder of Vic.ai's."""
        return self.documents / "vicai"

    @property
    def erp(self) -> Path:
        """The folder of the ERP's files, and of what the target said of them."""
        return self.folder / "erp"

    @property
    def hooks(self) -> Path:
        """The folder of the receiver of webhooks."""
        return self.folder / "webhooks"

    @property
    def pipes(self) -> Path:
        """The folder of what the pipelines set aside, reported and compared."""
        return self.folder / "pipelines"

    @property
    def log(self) -> Path:
        """All that Meltano said."""
        return self.folder / "meltano.log"

    @property
    def ivesk_system(self) -> Path:
        """What Meltano remembers between the runs of Įvesk's job."""
        return self.folder / "meltano" / "ivesk"

    @property
    def vic_system(self) -> Path:
        """What Meltano remembers between the runs of Vic.ai's job."""
        return self.folder / "meltano" / "vicai"

    @property
    def pipes_system(self) -> Path:
        """What Meltano remembers between the runs of the pipelines."""
        return self.folder / "meltano" / "pipelines"

    def clear(self) -> None:
        """Removes what an earlier demo left."""
        for folder in (self.documents, self.folder / "meltano", self.erp, self.pipes, self.hooks):
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


def differences(acts: Iterable[Act]) -> Iterator[str]:
    """Says in a line each which run has read too much or too little."""
    for act in acts:
        for stream, expected in act.expected.items():
            read = act.run.records.get(stream, 0)
            if read != expected:
                yield f"{act.name}: {read} records of {stream} were read, not {expected}"
