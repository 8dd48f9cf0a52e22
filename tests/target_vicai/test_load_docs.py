"""docs/target-vicai: a page for every stream, whose example loads, and whose tables are the contract's."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ap_connectors.core.errors import Reject
from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.singer.schema import Declared, canonical
from ap_connectors.vicai import contract
from target_vicai.sink import VicSink
from target_vicai.streams import ALL
from tests.campaign import one_in
from tests.target_vicai.cases import BY_STREAM
from tests.target_vicai.conftest import PREFIX, Record, Result, Target, fresh
from tests.target_vicai.scene import CREDIT, PAYMENT, Scene
from tests.target_vicai.store import Documents, Snapshot
from tests.vicai.test_vicai_coverage import rows as coverage

DOCS = Path(__file__).parents[2] / "docs" / "target-vicai"
STREAMS = {sink.name: sink for sink in ALL}
EVERY = pytest.mark.parametrize("stream", STREAMS)
PLACEHOLDERS: dict[str, Callable[[Scene], str]] = {
    "INVOICE_ID": lambda scene: str(scene.waiting),
    "VENDOR_ID": lambda scene: str(scene.vendor["internalId"]),
    "PAYMENT_ID": lambda _: PAYMENT,
    "CREDIT_ID": lambda _: CREDIT,
}
"""Vic's own ids, which no example can know."""
AT_START = {"obtainToken", "healthCheck"}


class Row(NamedTuple):
    """A row of a table of fields: what of it the contract says."""

    path: str
    kind: str
    limit: str
    needed: str


# What the contract says


def contract_rows(sink: type[VicSink]) -> list[Row]:
    """The fields that a stream's records may have, the nested ones after the one that they are in."""
    made = sink(None)  # type: ignore[arg-type]
    schema = contract.inlined(made.contract_schema())
    return [*members(schema, ""), *members({"properties": dict(made.extras)}, "")]


def members(schema: contract.Schema, prefix: str) -> Iterator[Row]:
    for name, member in schema.get("properties", {}).items():
        declared = one_of(member)
        needed = "yes" if name in schema.get("required", ()) else ""
        inner = one_of(declared.schema["items"]) if declared.kind == "array" else None
        kind = word(declared) if inner is None else f"list of {PLURALS[inner.kind]}"
        yield Row(prefix + name, f"{kind}, or null" if declared.nullable else kind, limit(inner or declared), needed)
        yield from members(dict((inner or declared).schema), f"{prefix}{name}{'[]' if inner else ''}.")


def one_of(schema: contract.Schema) -> Declared:
    """What a schema declares; of several objects what all of them together do, of which none is needed then."""
    declared = Declared.of(schema)
    chosen = [one_of(dict(choice)) for choice in declared.choices]
    if not chosen:
        return declared
    if len(chosen) == 1:
        return Declared(chosen[0].schema, [], chosen[0].kind, declared.nullable)
    properties = {name: member for one in chosen for name, member in one.schema["properties"].items()}
    return Declared({"type": "object", "properties": properties}, [], "object", declared.nullable)


KINDS = {
    "string": "text",
    "decimal": "decimal",
    "number": "number",
    "integer": "whole number",
    "boolean": "true or false",
    "date": "date",
    "uuid": "UUID",
    "object": "object",
    "any": "text",
}
PLURALS = {"object": "objects", "string": "texts"}
CLOCKS = {"local": "time, no zone", "utc": "time, UTC"}


def word(declared: Declared) -> str:
    if declared.kind == "date-time":
        return CLOCKS[declared.schema["x-clock"]]
    if declared.kind == "object" and not declared.schema.get("properties"):
        return "any object"
    return KINDS[declared.kind]


def limit(declared: Declared) -> str:
    schema = declared.schema
    said = []
    if "maxLength" in schema:
        said.append(f"{schema['maxLength']} characters")
    if "minimum" in schema:
        said.append(f"from {schema['minimum']}")
    if "enum" in schema:
        said.append(", ".join(f"`{value}`" for value in schema["enum"]))
    return "; ".join(said)


# What a page says


class Page:
    """A stream's page."""

    def __init__(self, stream: str) -> None:
        self.text = (DOCS / f"{stream}.md").read_text(encoding="utf-8")

    def table(self, heading: str) -> list[list[str]]:
        """The cells of the table below a heading, without its head."""
        found = re.search(rf"^## {heading}\n(?:[^|#\n].*\n|\n)*((?:\|.*\n)+)", self.text, re.MULTILINE)
        assert found, heading
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()[2:]]

    @property
    def fields(self) -> list[list[str]]:
        return self.table("Fields")

    @property
    def calls(self) -> dict[str, str]:
        """The calls that the stream makes, by the operation's name."""
        return {operation.strip("`"): call.strip("`") for operation, call, _ in self.table("Calls")}

    @functools.cached_property
    def example(self) -> list[str]:
        """The lines to pipe."""
        (block,) = re.findall(r"^```jsonl\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL)
        return str(block).splitlines()

    @property
    def messages(self) -> list[Record]:
        return [json.loads(line, parse_float=Decimal) for line in self.example]

    def records(self, stream: str) -> list[Record]:
        """The example's records of a stream, their fields' names as `canonical` has them."""
        given = (message for message in self.messages if canonical(message.get("stream", "")) == canonical(stream))
        return [plain(message["record"]) for message in given if message["type"] == "RECORD"]


def plain(record: Record) -> Record:
    return {canonical(name): value for name, value in record.items()}


@EVERY
def test_fields_are_those_of_the_contract(stream: str) -> None:
    written = Page(stream).fields
    found = [
        Row(path.strip("`"), kind, most, needed.removeprefix("key").removeprefix(", "))
        for path, kind, most, needed, _ in written
    ]
    wanted = contract_rows(STREAMS[stream])
    rows = "\n".join(f"| `{row.path}` | {row.kind} | {row.limit} | {row.needed} |" for row in wanted)
    assert found == wanted, f"The table has to be this, with `key` and a description:\n{rows}"
    assert all(row[4] for row in written), "a field is not described"


@EVERY
def test_what_is_called_key_is_the_key(stream: str) -> None:
    page, sink = Page(stream), STREAMS[stream](None)  # type: ignore[arg-type]
    keys = [row[0].strip("`") for row in page.fields if row[3].startswith("key")]
    (given, *_) = page.records(stream)
    whole = {name: given[canonical(name)] for name in keys if canonical(name) in given}
    assert whole
    extras = {name: value for name, value in whole.items() if name in sink.extras}
    body = {name: value for name, value in whole.items() if name not in sink.extras}
    assert sink.key(body, extras)
    with pytest.raises(Reject, match=r"missing|needed"):
        sink.key({"name": None}, {})


@EVERY
def test_calls_are_those_of_the_contract_and_of_the_table_of_coverage(stream: str) -> None:
    calls = Page(stream).calls
    assert calls == {name: f"{contract.operation(name).method} {contract.operation(name).path}" for name in calls}
    assert set(calls) == {name for name, (_, _, used) in coverage().items() if f"load of `{stream}`" in used}


@EVERY
def test_the_overview_leads_to_the_page_and_back(stream: str) -> None:
    assert f"]({stream}.md)" in (DOCS / "README.md").read_text(encoding="utf-8")
    assert "](README.md)" in Page(stream).text
    assert f"target-vicai --config config.json < {stream}.jsonl" in Page(stream).text


def test_there_is_no_page_of_anything_else() -> None:
    assert {path.stem for path in DOCS.glob("*.md")} == {*STREAMS, "README"}


def test_links_lead_somewhere() -> None:
    for path in DOCS.glob("*.md"):
        text = path.read_text(encoding="utf-8")
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)", text):
            aim = (path.parent / target).resolve() if target else path
            assert aim.exists(), (path, target)
            assert not anchor or anchor[1:] in anchors(aim), (path, target, anchor)


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


# The examples


@pytest.fixture
def scene(vicai: SandboxProcess, tmp_path: Path) -> Scene:
    fresh(vicai, invoices=3)
    return Scene(vicai, tmp_path)


@one_in(3)
@EVERY
def test_example_loads_and_loads_again_with_nothing_to_do(scene: Scene, target: Target, stream: str) -> None:
    page = Page(stream)
    ids = {name: make(scene) for name, make in PLACEHOLDERS.items() if name in "".join(page.example)}
    for name in ids:
        assert f"`{name}`" in page.text, f"the page does not say what {name} is"
    lines = [functools.reduce(lambda text, one: text.replace(*one), ids.items(), line) for line in page.example]
    records = page.records(stream)
    keys = [{name: ids.get(str(value), value) for name, value in one.items()} for one in records]
    assert not any(is_held(stream)(one, scene) for one in keys)

    run = target(lines)
    last = [message["value"] for message in page.messages if message["type"] == "STATE"][-1]
    assert run.states[-1] == last
    counts = run.counts(stream)
    assert counts["created"] + counts["updated"] == len(records)
    assert all(is_held(stream)(one, scene) for one in keys)
    assert "left out" not in run.err

    streams = [message["stream"] for message in page.messages if message["type"] == "SCHEMA"]
    written = {name for one in streams for name in Page(canonical_stream(one)).calls}
    assert called(run) <= written | AT_START

    again = target(lines)
    assert again.writes == []
    assert again.states[-1] == last
    assert again.counts(stream)["unchanged"] == len(records)


def canonical_stream(name: str) -> str:
    return next(stream for stream in STREAMS if canonical(stream) == canonical(name))


def called(run: Result) -> set[str]:
    """The operations that a run called."""
    operations = contract.operations().values()
    paths = {one.name: (one.method, PREFIX + re.sub(r"\{\w+\}", "[^/]+", one.path)) for one in operations}
    return {
        name
        for call in run.calls
        for name, (method, path) in paths.items()
        if call["method"] == method and re.fullmatch(path, call["path"])
    }


Found = Callable[[Record, Scene], bool]


def listed(resource: str, *names: str, **shown: Any) -> Found:
    """Whether exactly one record of a resource shows what an example's record says of some fields."""

    def found(given: Record, scene: Scene) -> bool:
        wanted = {name: given[canonical(name)] for name in names} | shown
        held = scene.vicai.control.vicai.records(resource)
        return sum(wanted.items() <= one.items() for one in held) == 1

    return found


def vendor_tag(given: Record, scene: Scene) -> bool:
    now = Snapshot(scene.vicai).records
    vendors = [i for i, one in now["vendors"].items() if one.get("externalId") == given["vendorexternalid"]]
    tags = [i for i, one in now["tags"].items() if one["value"] == given["tagvalue"]]
    pairs = [(one["vendorId"], one["tagId"]) for one in now["vendorTags"].values()]
    return bool(vendors and tags) and pairs.count((vendors[0], tags[0])) == 1


def training_invoice(given: Record, scene: Scene) -> bool:
    held = Documents(scene.vicai).record("trainingInvoices", given["externalid"])
    return bool(held.get("refNumber") == given["refnumber"])


def invoice_rejection(given: Record, scene: Scene) -> bool:
    found = listed("invoices", "internalId", status="NOT_READY", postingError=given["reason"])
    return found(given, scene)


def vendor_errors(given: Record, scene: Scene) -> bool:
    (held,) = [one for one in scene.vicai.control.vicai.records("vendors") if one["internalId"] == given["internalid"]]
    return bool(held.get("errors") == given["errors"])


def attachment(given: Record, scene: Scene) -> bool:
    sha256 = hashlib.sha256(base64.b64decode(given["documentbase64"])).hexdigest()
    return [one["sha256"] for one in scene.vicai.control.vicai.records("attachments")].count(sha256) == 1


def reported(given: Record, scene: Scene) -> bool:
    batches = scene.vicai.control.vicai.records("paymentBatches")
    parts = {one["id"]: one for batch in batches for one in (*batch["payments"], *batch["credits"])}
    return plain(parts[given["id"]]).items() >= given.items()


def supporting(given: Record, scene: Scene) -> bool:
    held = scene.vicai.control.vicai.records("supportingAttachments")
    size = len(base64.b64decode(given["documentbase64"]))
    return [(one["invoiceId"], one["filesize"]) for one in held] == [(given["internalid"], size)]


def dependency(given: Record, scene: Scene) -> bool:
    ids = {one.get("externalId"): one["internalId"] for one in scene.vicai.control.vicai.records("dimensions")}
    pair = ids.get(given["dimensionexternalid"]), ids.get(given["dependentexternalid"]), given["active"]
    held = scene.vicai.control.vicai.records("dimensionDependencies")
    return pair in {(one["dimensionId"], one["dependentId"], one["active"]) for one in held}


SPECIAL: dict[str, Found] = {
    "vendor_tags": vendor_tag,
    "training_invoices": training_invoice,
    "invoices": listed("invoices", "externalId", status="READY_FOR_POST"),
    "invoice_confirmations": listed("invoices", "internalId", "externalId", status="POSTED"),
    "invoice_rejections": invoice_rejection,
    "payment_confirmations": reported,
    "payment_failures": reported,
    "credit_confirmations": reported,
    "credit_failures": reported,
    "invoice_payments": listed("invoices", "internalId", "externalPaymentStatus", "externalPaymentAmount"),
    "supporting_attachments": supporting,
    "dimension_dependencies": dependency,
    "vendor_errors": vendor_errors,
    "attachments": attachment,
}
"""Where Vic does not list what an example's record says under the key of the sink's resource."""


def is_held(stream: str) -> Found:
    """Whether Vic holds what an example's record says, by the record's natural key."""
    if stream in SPECIAL:
        return SPECIAL[stream]
    resource = STREAMS[stream].resource
    assert resource is not None, f"SPECIAL lacks {stream}: its sink does not say how Vic's records are listed"
    return listed(BY_STREAM[stream].resource, *resource.key)
