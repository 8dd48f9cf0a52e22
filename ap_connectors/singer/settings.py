"""Settings that several plugins have, described once. Those of a connection are with the clients."""

from __future__ import annotations

from typing import Any

from singer_sdk import typing as th

REQUEST_TIMEOUT = th.Property(
    "request_timeout",
    th.IntegerType(minimum=1),
    default=60,
    title="Timeout",
    description="Seconds to wait for a connection, and between two pieces of an answer.",
)

USER_AGENT = th.Property(
    "user_agent",
    th.StringType,
    title="User agent",
    description="How the command introduces itself to the service; its name and version unless set.",
)

RATE_LIMIT = th.Property(
    "rate_limit",
    th.ObjectType(
        th.Property("requests", th.IntegerType(minimum=1), default=500),
        th.Property("seconds", th.NumberType(minimum=1), default=10),
    ),
    default={"requests": 500, "seconds": 10},
    title="Rate limit",
    description="Requests that may be sent in a time; the default is what the service allows a client id.",
    examples=[{"requests": 250, "seconds": 10}],
)

MAX_REJECTS = th.Property(
    "max_rejects",
    th.IntegerType(minimum=0),
    default=0,
    title="Rejects allowed",
    description="With more rejects than this the run ends with status 1, after everything else was loaded.",
)

_COUNTS = "File for the counts of the run, by stream, as JSON. Without it they are in the log only."

REPORT_PATH = th.Property(
    "report_path",
    th.StringType(min_length=1),
    title="Report",
    description=_COUNTS,
    examples=["output/report.json"],
)

TARGET_REPORT_PATH = th.Property(
    "report_path",
    th.StringType(min_length=1),
    title="Report",
    description=f"{_COUNTS} A name that ends in .html, .xlsx or .csv makes a list for people, with what was set aside; "
    "a sheet (.xlsx, .csv) that was corrected is input again (--input).",
    examples=["output/report.json", "output/rejects.xlsx"],
)

DOCUMENTS_FROM = th.Property(
    "documents_from",
    th.ArrayType(th.StringType),
    title="Where documents may come from",
    description="Folders and beginnings of URLs that documents of records may come from; https:// is every public "
    "https address. Anything else is set aside. Without it: the working folder, public https addresses and, while "
    "api_url is this machine, this machine.",
    examples=[["output/documents", "s3://bucket/invoices", "https://"]],
)


def max_concurrency(what_for: str) -> th.Property[int]:
    """Return the setting for requests at once; `what_for` ("for writes") is part of its description."""
    return th.Property(
        "max_concurrency",
        th.IntegerType(minimum=1, maximum=100),
        default=8,
        title="Requests at once",
        description=f"Requests under way at once, {what_for}.",
    )


def auto_concurrency(what_for: str) -> th.Property[Any]:
    """Return the setting for requests at once where the client can find it out; `what_for` as in `max_concurrency`."""
    kinds = {"type": ["string", "integer", "null"], "pattern": "^auto$", "minimum": 1, "maximum": 100}
    return th.Property(
        "max_concurrency",
        th.CustomType(kinds),
        default="auto",
        title="Requests at once",
        description=f"Requests under way at once, {what_for}. auto: as many as the rate limit has use for at the "
        "service's distance, 64 at most, and fewer when answers slow down. Or a number.",
        examples=["auto", 20],
    )


def documents_dir(whose: str, examples: list[str]) -> th.Property[str]:
    """Return the setting for a folder of files; `whose` files they are is part of its description."""
    return th.Property(
        "documents_dir",
        th.StringType,
        title="Folder for files",
        description=f"Folder or fsspec URL that {whose} (PDFs) are downloaded to. Without it none are.",
        examples=examples,
    )


def start_date(left_out: str, examples: list[str]) -> th.Property[str]:
    """Return the setting for the beginning; what is `left_out` is part of its description."""
    return th.Property(
        "start_date",
        th.DateTimeType,
        title="Start date",
        description=f"Where the first run begins: {left_out}. Without it: from the very first.",
        examples=examples,
    )


def rejects_path(records: str, prefix: str) -> th.Property[str]:
    """Return the setting for the reject file: of which `records`, and how its default name begins."""
    return th.Property(
        "rejects_path",
        th.StringType(min_length=1),
        default=f"{prefix}-{{timestamp}}.jsonl",
        title="Reject file",
        description=f"File for the {records}, each with the reason; it is input to a later run. "
        "{timestamp} stands for the time of the run, and no other run writes to such a file; any other one that exists "
        "is added to.",
        examples=[f"output/{prefix}-{{timestamp}}.jsonl"],
    )


REJECTS_PATH = rejects_path("records that were refused", "rejects")


def ledger_path(plugin: str, remembers: str) -> th.Property[str]:
    """Return the setting for the ledger of a plugin; what it `remembers` is part of its description."""
    return th.Property(
        "ledger_path",
        th.StringType(min_length=1),
        default=f"{plugin}-ledger.jsonl",
        title="Ledger",
        description=f"File that remembers {remembers}",
        examples=[f"output/{plugin}-ledger.jsonl"],
    )
