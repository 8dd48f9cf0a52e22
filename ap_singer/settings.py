"""Settings that every plugin has, described once."""

from __future__ import annotations

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
    description="How the tap introduces itself to the service; its name and version unless set.",
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
