"""Files of invoices (live age): supporting attachments, and what has become of documents for Vic to read."""

from __future__ import annotations

import re
import uuid

from starlette.responses import Response

from ap_connectors.sandbox.vicai.call import Call, Handler, Refusal, value_answer
from ap_connectors.sandbox.vicai.resources import Record
from ap_connectors.sandbox.vicai.store import File

_IMMUTABLE = {"POSTED", "TRANSFERRED"}


def list_attachments(call: Call) -> Response:
    """Answer all attachments of an invoice."""
    held = call.store.supporting.get(call.entry().id, {})
    return value_answer([_shown(call, record) for record in held.values()])


def upload(call: Call) -> Response:
    """Add an attachment, under a name of the service's own."""
    entry, part, store = call.entry(), call.parts["file"], call.store
    if entry.filter_value in _IMMUTABLE:
        raise Refusal(422, f"The invoice is {entry.filter_value}: nothing can be attached any more.")
    if not part.data:
        raise Refusal(422, "The file is empty.")
    id_ = str(uuid.uuid4())
    name = re.sub(r"[^\w.-]+", "_", part.file_name or "file", flags=re.ASCII)
    stored = f"{id_[:8]}-{name}"
    record = {
        "id": id_,
        "filename": stored,
        "contentType": part.media,
        "filesize": len(part.data),
        "insertedAt": store.written(store.tick()),
    }
    store.supporting.setdefault(entry.id, {})[id_] = record
    store.files["supporting", id_] = File(part.data, part.media, stored)
    return value_answer(_shown(call, record), 201)


def delete(call: Call) -> Response:
    """Delete an attachment."""
    entry, id_ = call.entry(), call.ids["attachment_id"]
    if entry.filter_value in _IMMUTABLE:
        raise Refusal(422, f"The invoice is {entry.filter_value}: nothing can be deleted any more.")
    if call.store.supporting.get(entry.id, {}).pop(id_, None) is None:
        raise Refusal(404, f"SupportingAttachment {id_} does not exist.")
    return call.done()


def status(call: Call) -> Response:
    """Tell what has become of an attachment: one is read at once, unless the test says otherwise."""
    entry, store = call.entry(), call.store
    told: Record = {"status": "processed", "error_code": None, "error_message": None}
    told |= {"invoice_ids": [f"9{entry.id}"], **store.attachment_states.get(entry.id, {})}
    return value_answer({"id": entry.id, **told})


def _shown(call: Call, record: Record) -> Record:
    link = f"{call.base.decode()}/vicai/v0/files/supporting/{record['id']}"
    return {**record, "downloadUrl": link}


HANDLERS: dict[str, Handler] = {
    "listInvoiceSupportingAttachments": list_attachments,
    "uploadInvoiceSupportingAttachment": upload,
    "deleteInvoiceSupportingAttachment": delete,
    "getAttachmentStatus": status,
}
