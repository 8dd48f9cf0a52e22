"""The contract as data: whole, described, true to the service's own but where we say so, and fit for streams."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.vicai import contract

FACTS = Path(__file__).resolve().parents[2] / "../shared/reference/vicai/openapi-0.20.0.json"
LIVE_FACTS = FACTS.with_name("openapi-10.40.4.json")

STREAMS = (
    "Account",
    "Dimension",
    "Vendor",
    "Invoice",
    "InvoiceLineItem",
    "TrainingInvoice",
    "VatCode",
    "VendorGroup",
    "Tag",
    "VendorTag",
    "PaymentTerm",
    "TaxCode",
    "PurchaseOrder",
    "PurchaseOrderLineItem",
    "PaymentBatch",
    "Payment",
    "Credit",
    "HealthCheck",
)

LOCAL_TIMES = {"externalUpdatedAt", "activeStartingAt", "activeEndingAt", "remote_updated_at"}

# Members whose keys are names that the service chose: a property called "description" is no annotation.
NAMED = {
    "callbacks",
    "content",
    "encoding",
    "headers",
    "parameters",
    "paths",
    "properties",
    "requestBodies",
    "responses",
    "schemas",
    "securitySchemes",
}

SERVERS = [{"url": f"https://api.{place}.vic.ai/v0"} for place in ("us", "no", "us.stage", "no.stage")]


def _either(name: str) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{name}"}
    return {"oneOf": [{"type": "array", "items": reference}, reference]}


# Where this contract departs from 0.20.0, and nowhere else: place, what stands there.
CORRECTIONS: list[tuple[tuple[str, ...], Any]] = [
    (("servers",), SERVERS),
    *(
        (("components", "schemas", name, "properties", "errors", "type"), "array")
        for name in ("Vendor", "VendorUpsert", "VendorCallback", "SetVendorRemoteErrors")
    ),
    *(
        (("components", "schemas", name, "type"), "object")
        for name in ("AccrualInfo", "CreatePurchaseOrder", "CreateTaxCode")
    ),
    (
        ("components", "responses", "PaymentTermListResponse", "content", "application/json", "schema"),
        _either("PaymentTerm"),
    ),
    # 0.20.0 uses one answer for both the list and what was created.
    (
        ("components", "responses", "TaxCodeListResponse"),
        {"content": {"application/json": {"schema": _either("TaxCode")}}},
    ),
    (
        ("paths", "/taxCodes", "get", "responses", "200"),
        {"$ref": "#/components/responses/TaxCodeListResponse"},
    ),
]


def nodes(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield every object of a JSON value and where it is."""
    if isinstance(value, dict):
        yield place, value
        for name, member in value.items():
            yield from nodes(member, (*place, name))
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from nodes(member, (*place, str(number)))


def described_operations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the operations as they stand in the file, callbacks included."""
    for item in contract.document()["paths"].values():
        for found in item.values():
            yield found["operationId"], found
            for name, callback in found.get("callbacks", {}).items():
                for answered in callback.values():
                    yield f"callback {name}", answered["post"]


def bare(value: Any) -> Any:
    """Return the structure: a copy without summaries, descriptions and our own members."""
    if isinstance(value, list):
        return [bare(member) for member in value]
    if not isinstance(value, dict):
        return value
    return {
        name: {key: bare(entry) for key, entry in member.items()}
        if name in NAMED and isinstance(member, dict)
        else bare(member)
        for name, member in value.items()
        if name not in {"summary", "description"} and not name.startswith("x-")
    }


def is_sentence(text: object) -> bool:
    return isinstance(text, str) and len(text) > 3 and text.endswith(".")


def test_all_operations_are_there() -> None:
    first, live = contract.operations(contract.FIRST), contract.operations()
    assert len(first) == 71
    assert len(contract.document(contract.FIRST)["paths"]) == 41
    # 10.40.4 has 173 operations; it has lost none.
    assert first.keys() < live.keys()
    both = sorted(live.keys() & contract.unused().keys())
    assert not both, f"live.json has these among its paths, and among x-unused still: {both}"
    assert len(live) + len(contract.unused()) == 173
    assert {name for name, one in live.items() if one.since == contract.FIRST} == first.keys()
    assert all(why for _, why in contract.unused().values())


def test_the_live_age_keeps_every_field_that_a_stream_shows() -> None:
    for name in STREAMS:
        first = contract.component(name, contract.FIRST)["properties"]
        assert first.keys() <= contract.component(name)["properties"].keys(), name


@pytest.mark.skipif(not LIVE_FACTS.exists(), reason="the service's names and constraints are not at hand")
def test_the_live_age_is_the_services() -> None:
    """All names of 10.40.4 stand somewhere; the fields of what is read and written are its own."""
    facts = json.loads(LIVE_FACTS.read_text(encoding="utf-8"))
    theirs = {
        (method.upper(), re.sub(r"{.*?}", "{}", path.removeprefix("/v0"))): found["operationId"]
        for path, item in facts["paths"].items()
        for method, found in item.items()
        if method in {"get", "put", "post", "delete", "patch"}
    }
    ours = {(one.method, re.sub(r"{.*?}", "{}", one.path)): name for name, one in contract.operations().items()}
    for name, (call, _) in contract.unused().items():
        method, path = call.split()
        ours[method, re.sub(r"{.*?}", "{}", path)] = name
    assert ours == theirs
    schemas = contract.document()["components"]["schemas"]
    for name, schema in facts["components"]["schemas"].items():
        if name in schemas and name not in {"WebhookEvent", "SubscriptionUpsert"}:
            assert set(schema.get("properties", ())) == set(schemas[name].get("properties", ())), name
            assert set(schema.get("required", ())) == set(schemas[name].get("required", ())), name
            if name != "WebhookEventName":
                assert schema.get("enum") == schemas[name].get("enum"), name


def test_every_reference_leads_somewhere() -> None:
    references = {"/".join(place): node["$ref"] for place, node in nodes(contract.document()) if "$ref" in node}
    assert len(references) > 400
    for place, reference in references.items():
        found: Any = contract.document()
        for part in reference.removeprefix("#/").split("/"):
            found = found.get(part, {})
        assert found, f"{place} refers to {reference}, which is not there"


def test_every_operation_is_described() -> None:
    sections = {section["name"] for section in contract.document()["tags"]}
    for name, found in described_operations():
        assert set(found.get("tags", ())) <= sections, f"{name}: describe {found['tags']} in `tags` of the document"
        assert found["summary"], name
        assert not found["summary"].endswith("."), name
        assert "\n" not in found["summary"], name
        assert is_sentence(found.get("description", "None.")), name
        for parameter in found.get("parameters", []):
            assert "$ref" in parameter or is_sentence(parameter["description"]), name
        body = found.get("requestBody", {"$ref": ""})
        assert "$ref" in body or is_sentence(body["description"]), name
        for status, answer in found["responses"].items():
            assert "$ref" in answer or is_sentence(answer["description"]), (name, status)


@pytest.mark.parametrize("kind", ["headers", "parameters", "requestBodies", "responses", "schemas", "securitySchemes"])
def test_every_component_is_described(kind: str) -> None:
    for name, found in contract.document()["components"][kind].items():
        assert is_sentence(found.get("description")), f"{kind}/{name}: describe it by a sentence with a full stop"


def test_every_property_is_described() -> None:
    count = 0
    for place, node in nodes(contract.document()):
        if place and place[-1] == "properties" and place[-2] != "properties":
            for name, schema in node.items():
                assert is_sentence(schema.get("description")), (*place, name)
                count += 1
    assert count > 400


def test_every_time_has_a_clock() -> None:
    times = [(place, node) for place, node in nodes(contract.document()) if node.get("format") == "date-time"]
    assert len(times) > 40
    for place, node in times:
        # `since` follows the call: the ERP's clock with EXTERNAL, UTC with INTERNAL.
        expected = "useSystem" if "SinceFilter" in place else "local" if LOCAL_TIMES & set(place) else "utc"
        assert node.get("x-clock") == expected, f"{'/'.join(place)}: x-clock says whose clock, and is {expected}"


def test_only_times_have_a_clock() -> None:
    assert all(node.get("format") == "date-time" for _, node in nodes(contract.document()) if "x-clock" in node)


def test_every_correction_is_noted() -> None:
    for place, value in CORRECTIONS:
        if place[0] != "components":
            continue
        found: Any = contract.document()
        for part in place[:-1]:
            found = found[part]
        noted = found if isinstance(value, str) else found[place[-1]]
        assert any(is_sentence(node.get("x-note")) for _, node in nodes(noted)), place


@pytest.mark.skipif(not FACTS.exists(), reason="the service's names and constraints are not at hand")
def test_the_structure_is_the_services_but_for_the_corrections() -> None:
    expected = bare(json.loads(FACTS.read_text(encoding="utf-8")))
    for place, value in CORRECTIONS:
        found = expected
        for part in place[:-1]:
            found = found[part]
        assert found.get(place[-1]) != value, f"0.20.0 has it already: {place}"
        found[place[-1]] = value
    assert bare(contract.document(contract.FIRST)) == expected


def test_lists_may_come_as_one_object() -> None:
    for name in ("listPaymentTerms", "getTaxCodes"):
        several, one = contract.inlined(contract.operation(name).answers["200"]["application/json"])["oneOf"]
        assert several["type"] == "array"
        assert several["items"] == one
    assert contract.operation("createTaxCode").answers["201"]["application/json"] == {
        "$ref": "#/components/schemas/TaxCode"
    }


def fields(schema: dict[str, Any], place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield every schema within a stream's schema, itself excepted, by the names that lead there."""
    for name, field in schema.get("properties", {}).items():
        yield (*place, name), field
        yield from fields(field, (*place, name))
    if "items" in schema:
        yield (*place, "[]"), schema["items"]
        yield from fields(schema["items"], (*place, "[]"))


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_shows_all_of_a_component(name: str) -> None:
    schema = contract.singer_schema(name)
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is True
    assert set(schema["properties"]) == set(contract.document()["components"]["schemas"][name]["properties"])
    for place, field in fields(schema):
        kind, null = field["type"]
        assert null == "null", place
        assert kind in {"string", "number", "integer", "boolean", "array", "object"}, place
        assert not {"$ref", "oneOf", "anyOf", "enum", "maxLength", "minItems"} & set(field), place
        assert ("items" in field) == (kind == "array"), place
        assert field.get("additionalProperties") is (True if kind == "object" else None), place
        assert is_sentence(field["description"]), place


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_gives_no_zone_to_the_erps_times(name: str) -> None:
    for place, field in fields(contract.singer_schema(name)):
        if place[-1] in LOCAL_TIMES:
            assert field["type"] == ["string", "null"]
            assert "format" not in field, place
        elif place[-1].endswith("At"):
            assert field["format"] == "date-time", place


@pytest.mark.parametrize(
    ("name", "place", "kind"),
    [
        ("Vendor", ("errors",), "array"),
        ("Vendor", ("externalData",), "object"),
        ("Invoice", ("totalAmount",), "string"),
        ("Invoice", ("lineItems", "[]", "amount"), "number"),
        ("InvoiceLineItem", ("accrual", "start"), "string"),
        ("PaymentBatch", ("payments", "[]", "voidedAt"), "string"),
        ("PurchaseOrder", ("vendor", "taxInfo", "is1099vendor"), "boolean"),
        ("VatCode", ("rate",), "number"),
    ],
)
def test_the_types_are_the_services(name: str, place: tuple[str, ...], kind: str) -> None:
    assert dict(fields(contract.singer_schema(name)))[place]["type"] == [kind, "null"]


def test_a_choice_of_words_is_text() -> None:
    # This enumeration has no type in 0.20.0.
    schema = contract.singer_schema("VendorLookupByOrgNumberAndBankAccount")
    assert schema["properties"]["bankAccountType"]["type"] == ["string", "null"]


def test_what_stands_beside_a_reference_wins() -> None:
    of_account = contract.component("Account")["properties"]["internalId"]
    assert of_account["readOnly"] is True
    assert of_account["description"] != contract.component("InternalId")["description"]


def test_a_change_stays_with_who_made_it() -> None:
    contract.component("Account")["properties"].clear()
    contract.singer_schema("Account")["properties"].clear()
    contract.inlined(contract.component("InvoiceState"))["enum"].clear()
    assert contract.component("Account")["properties"]
    assert contract.singer_schema("Account")["properties"]
    assert contract.component("InvoiceState")["enum"]
