"""What the source holds: asked of the sandbox's control API, which the tap does not know."""

from typing import Any

from ap_connectors.sandbox.process import Control
from demo.books import DOCUMENT_AMOUNTS, LINE_AMOUNTS, Amounts, Books, Document, add_up


def read(control: Control) -> Books:
    """All exported documents, every digit as the service sends it."""
    documents = {
        document["id"]: Document(
            document["currency"],
            document["exportedat"],
            _amounts(document, DOCUMENT_AMOUNTS),
            tuple(_amounts(line, LINE_AMOUNTS) for line in document["lines"]),
        )
        for document in control.documents("exported")
    }
    return Books(documents, add_up(documents))


def _amounts(fields: dict[str, Any], names: tuple[str, ...]) -> Amounts:
    return tuple(None if fields[name] is None else str(fields[name]) for name in names)
