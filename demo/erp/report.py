"""The ERP's table of the report, and what does not tie."""

from collections.abc import Iterator

from demo.erp import books, target
from demo.erp.story import Evidence

_COLUMNS = 3
_HEAD = f"{'':27}ERP  Vic"


def lines(evidence: Evidence) -> Iterator[str]:
    """How many records of each stream the ERP's file has, and how many of them are at Vic.ai."""
    counts = [f"{name:26} {ours:4} {theirs:4}" for name, ours, theirs in books.counts(evidence.export, evidence.after)]
    yield ""
    yield f"  {'   '.join([_HEAD] * _COLUMNS)}"
    for start in range(0, len(counts), _COLUMNS):
        yield f"  {'   '.join(counts[start : start + _COLUMNS])}"


def summary(evidence: Evidence) -> str:
    """What ties, in a line."""
    streams = [len(records) for records in evidence.export.values()]
    return (
        f"ERP: {sum(streams)} records of {len(streams)} streams at Vic.ai, every field the same; "
        f"{len(evidence.before.lines)} that were there are as before."
    )


def differences(evidence: Evidence) -> Iterator[str]:
    """Says in a line each what is not as it should be."""
    yield from target.differences(evidence.acts)
    yield from books.differences(evidence.export, evidence.by_users, evidence.before, evidence.after)
