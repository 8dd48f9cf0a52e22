"""What the services leave undocumented, or do differently than they say, as options of the command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_type_hints

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from typing_extensions import Self


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    def changed(self, patch: Mapping[str, Any]) -> Self:
        """Return the options with some replaced.

        Raises:
            msgspec.ValidationError: An unknown option or a value that is not allowed.
        """
        return msgspec.convert({**msgspec.structs.asdict(self), **patch}, type(self))


class Options(_Options, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Choices between behaviours that the Įvesk REST API's description allows."""

    from_is: Annotated[
        Literal["exclusive", "inclusive"], Meta(description="Whether `from` itself belongs to a queue answer.")
    ] = "exclusive"
    borders: Annotated[
        Literal["whole", "cut", "hard"],
        Meta(
            description="Documents that share an instant: kept in one page; cut by a page border unless they begin "
            "the page; or always cut."
        ),
    ] = "whole"
    next_when: Annotated[
        Literal["more", "always"], Meta(description="`next` only if more follows, or on every non-empty page.")
    ] = "more"
    page_size: Annotated[int, Meta(ge=1, le=10_000, description="Documents in a page, about.")] = 100
    doctype_filter: Annotated[
        Literal["before", "after"],
        Meta(description="Filter and then page, or page and then filter (pages may be short or empty)."),
    ] = "before"
    upload_headers: Annotated[
        Literal["old", "new", "both"],
        Meta(description="Names of the upload headers: ContentType (old), Content-Type (new)."),
    ] = "old"
    extra_fields: Annotated[bool, Meta(description="Fields that no description mentions.")] = False
    link_seconds: Annotated[
        float, Meta(ge=0, le=604_800, description="How long links and upload locations live; 0 = already expired.")
    ] = 3600.0
    empty_page_every: Annotated[
        int, Meta(ge=0, description="Every n-th queue answer that has a successor is an empty page; 0 = never.")
    ] = 0
    latency_ms: Annotated[float, Meta(ge=0, le=600_000, description="Wait before every answer.")] = 0.0
    big_amounts: Annotated[bool, Meta(description="19-digit amounts in one of 500 documents.")] = False
    signature_version: Annotated[
        Literal["1", "2"], Meta(description="How webhooks are signed: SHA1withRSA (1) or SHA256withRSA (2).")
    ] = "1"
    webhook_retry_seconds: Annotated[
        float, Meta(ge=0, le=3600, description="Wait before a webhook's first retry; doubled for each later one.")
    ] = 0.2
    certificate_seconds: Annotated[
        float, Meta(ge=0, le=600, description="Wait before the certificate that signs webhooks is handed out.")
    ] = 0.0
    webhook_patience: Annotated[
        float, Meta(gt=0, le=10, description="The receiver's 15 s to answer a webhook, times this.")
    ] = 1.0
    webhook_senders: Annotated[
        int, Meta(ge=1, le=64, description="Webhooks of a subscription under way at a time; 1 keeps their order.")
    ] = 1


class VicaiOptions(_Options, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Choices between behaviours that the contract allows; each is a flag `--vicai-...` of the command."""

    age: Annotated[
        Literal["live", "0.20"],
        Meta(description="Which Vic.ai answers: as it does today (10.40.4), or as its API 0.20.0 describes it."),
    ] = "live"
    companies: Annotated[
        int,
        Meta(
            ge=1, le=500, description="Companies that v2 shows to one client; they share out its invoices (live age)."
        ),
    ] = 1
    line_amounts: Annotated[
        bool, Meta(description="Lines of invoices still have `amount`, which the live service will drop.")
    ] = True
    recorded_body: Annotated[
        Literal["envelope", "data"],
        Meta(description="What the record of events shows as `body`: all that was delivered, or its `data`."),
    ] = "envelope"
    token_seconds: Annotated[float, Meta(ge=0, le=604_800, description="How long an access token lives.")] = 3600.0
    rate_requests: Annotated[int, Meta(ge=0, description="Requests allowed in `rate_seconds`; 0 = any number.")] = 500
    rate_seconds: Annotated[float, Meta(gt=0, le=3600, description="The sliding window of the rate limit.")] = 10.0
    cursors: Annotated[
        Literal["keyset", "offset"],
        Meta(description="What a cursor holds: the last record's place, or a count that changes can shift."),
    ] = "keyset"
    last_cursor: Annotated[
        Literal["absent", "empty"], Meta(description="The x-next header of a last page: missing, or empty.")
    ] = "absent"
    since_is: Annotated[
        Literal["inclusive", "exclusive"], Meta(description="Whether `since` itself belongs to the answer.")
    ] = "inclusive"
    order: Annotated[
        Literal["sorted", "shuffled"], Meta(description="Lists sorted by the time that `since` means, or by no time.")
    ] = "sorted"
    empty_page_every: Annotated[
        int, Meta(ge=0, description="Every n-th list answer that has a successor is an empty page; 0 = never.")
    ] = 0
    instant_digits: Annotated[
        Literal[0, 3, 6], Meta(description="Digits of a second in internalUpdatedAt and other instants of Vic's.")
    ] = 3
    lone_objects: Annotated[
        bool, Meta(description="A list of exactly one payment term or tax code is the object itself.")
    ] = False
    unposted_allowed: Annotated[bool, Meta(description="Whether /invoices lists more than posted ones.")] = True
    documents_by: Annotated[
        Literal["direct", "redirect"], Meta(description="Documents in the answer, or behind a signed link.")
    ] = "direct"
    link_seconds: Annotated[
        float, Meta(ge=0, le=604_800, description="How long signed links live; 0 = already expired.")
    ] = 300.0
    latency_ms: Annotated[float, Meta(ge=0, le=600_000, description="Wait before every answer.")] = 0.0
    extra_fields: Annotated[
        bool, Meta(description="Records made from now on have fields and enum values that no contract mentions.")
    ] = False
    big_amounts: Annotated[bool, Meta(description="19-digit amounts in some invoices made from now on.")] = False
    webhook_retry_seconds: Annotated[
        float, Meta(ge=0, le=3600, description="Wait before a webhook's first retry; doubled for each later one.")
    ] = 0.2
    webhook_patience: Annotated[
        float, Meta(gt=0, le=10, description="The receiver's 5 s or 15 s to answer a webhook, times this.")
    ] = 1.0
    webhook_senders: Annotated[
        int, Meta(ge=1, le=64, description="Webhooks under way at a time; 1 keeps their order.")
    ] = 1
    callbacks_retried: Annotated[
        bool,
        Meta(description="vendorNew, invoicePost, invoiceTransfer and syncRequest are tried again, as events are."),
    ] = True
    documents_in_callbacks: Annotated[
        bool, Meta(description="Whether invoicePost and invoiceTransfer bring the document, or the invoice only.")
    ] = True
    company: Annotated[str, Meta(min_length=1, description="The name that healthCheck tells.")] = "Fjordlys Regnskap AS"


AnyOptions = TypeVar("AnyOptions", Options, VicaiOptions)


def described(options: type[msgspec.Struct] = Options) -> Iterator[tuple[str, Any, Any, str]]:
    """Yield each option as (name, plain type, default, description)."""
    hints = get_type_hints(options, include_extras=True)
    for field in msgspec.structs.fields(options):
        annotated = hints[field.name]
        text = next(meta.description for meta in annotated.__metadata__ if isinstance(meta, Meta))
        yield field.name, annotated.__origin__, field.default, text or ""
