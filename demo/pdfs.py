"""The files beside the warehouse: as many as documents, each just as the warehouse says."""

import hashlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path


def on_disk(folder: Path) -> set[Path]:
    """All files in a folder, whatever they are."""
    return {path for path in folder.rglob("*") if path.is_file()}


def differences(
    documents: Collection[str],
    rows: Iterable[tuple[str, str | None, str | None]],
    folder: Path,
    table: str = "document_files",
) -> Iterator[str]:
    """Says in a line each what does not fit between documents, rows of `table` and files on disk."""
    unclaimed, without = on_disk(folder), set(documents)
    for key, path, sha256 in rows:
        if key not in without:
            yield f"{table} tells of {key}, which is no document"
        without.discard(key)
        if path is None or Path(path) not in unclaimed:
            yield f"the file of document {key} is not on disk, or is another document's too: {path}"
            continue
        unclaimed.discard(Path(path))
        if hashlib.sha256(Path(path).read_bytes()).hexdigest() != sha256:
            yield f"{path} has not the SHA-256 that the warehouse says"
    yield from (f"{table} does not tell of document {key}" for key in without)
    yield from (f"no row of {table} tells of {path}" for path in unclaimed)
