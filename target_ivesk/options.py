"""Options of an upload: how the service processes a document. Records override the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ap_connectors.core.errors import Reject, Stop
from ap_connectors.singer.coercion import quoted
from ap_connectors.singer.schema import ObjectSchema

SWITCHES: Mapping[str, str] = {
    "processlines": "Read the lines of documents, too.",
    "splitdocuments": "Split a file that contains several documents.",
    "checkduplicates": "Check whether a document is there already.",
    "rejectnoninvoices": "Reject what is not an invoice.",
}
WORDS: Mapping[str, str] = {
    "warehouse": "Warehouse that the goods go to.",
    "allocation": "What the costs are allocated to.",
}
TAGS = "tags"

FIELDS: Mapping[str, Any] = {
    **{name: {"type": "boolean"} for name in SWITCHES},
    **{name: {"type": "string"} for name in WORDS},
    TAGS: {"oneOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]},
}
"""The options by name, with their schemas; tags are a list, or text with commas."""

_schema = ObjectSchema.of({"type": "object", "properties": FIELDS})

Query = dict[str, str]


def query(options: Mapping[str, Any]) -> Query:
    """Return options as the service takes them; those that are null are left out.

    Raises:
        Reject: a tag contains a comma, by which the service separates tags.
    """
    written: Query = {}
    for name in FIELDS:
        value = options.get(name)
        if value is None:
            continue
        if name in SWITCHES:
            written[name] = "true" if value else "false"
        elif name == TAGS:
            written[name] = ",".join(_tags(value))
        else:
            written[name] = value
    return written


def defaults(settings: Mapping[str, Any]) -> Query:
    """Read the setting `upload_options`.

    Raises:
        Stop: an option is unknown, or a value does not fit.
    """
    try:
        known, unknown = _schema.coerce_record(settings)
        if unknown:
            raise Stop(f"upload_options: {', '.join(unknown)} is not an option. The options are {', '.join(FIELDS)}.")
        return query(known)
    except Reject as error:
        raise Stop(f"upload_options: {error}") from None


def _tags(value: Any) -> list[str]:
    if isinstance(value, str):
        return [tag.strip() for tag in value.split(",") if tag.strip()]
    for tag in value:
        if "," in tag:
            message = f"tags: {quoted(tag)} contains a comma, by which Įvesk separates tags. Send it without."
            raise Reject(message, "comma_in_tag", field="tags", value=quoted(tag))
    return list(value)
