"""The codes of rejects: stable names of reasons, each with what it means and the parameters that come along.

The reject file, the report and the log show them beside the sentence. Programs, and `tap-rejects`, go by the code; the
sentences may be reworded at any time.
"""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "several": "Several reasons at once. reasons: the code, params and reason of each.",
    "unclassified": "A reason without a code of its own.",
    "nested_too_deeply": "The record is nested more deeply (some 900 levels) than programs can read, or a field than "
    "can be compared (100 levels). field: only of the latter.",
    # A field of the record: field is its path (lineItems[2].amount), value what it is, quoted.
    "not_text": "The field is not text. field, value.",
    "too_long": "The text has more characters than allowed. field, most, length, value: its beginning.",
    "half_a_character": "The text, or a name in the value, has a lone surrogate, which JSON cannot carry. field.",
    "not_a_number": "The field is not a number. field, value.",
    "not_a_whole_number": "The field is not a whole number. field, value.",
    "too_many_digits": "The number is not finite, or has too many digits. field, most.",
    "too_small": "The number is below the minimum. field, least, value.",
    "too_large": "The number is above the maximum. field, most, value.",
    "not_true_or_false": "The field is neither true nor false. field, value.",
    "not_a_date": "The field is not a date. field, value.",
    "not_a_time": "The field is not a time, or has no time of day. field, value.",
    "not_a_uuid": "The field is not a UUID. field, value.",
    "not_an_object": "The field is not an object. field, value.",
    "not_a_list": "The field is not a list. field, value.",
    "null_not_allowed": "The field is null, and must not be. field.",
    "missing_field": "Required fields are missing. fields: their paths.",
    "two_spellings": "One field comes in several spellings. field, spellings.",
    "no_form_fits": "The field does not fit any of the allowed forms. field.",
    # What the service is
    "not_offered": "The service does not offer this: its API is older, or it is not switched on. stream.",
    # References
    "unknown_reference": "It refers to what the service does not have. references: the kind and the key of each, and "
    "the field where it stands.",
    # Documents of ivesk, in the mapper: where is header, or lines[1]; amounts are text.
    "kind_unknown": "What becomes of such a kind of document is not said (doctypes). doctype.",
    "kind_set_aside": "Documents of this kind are set aside (doctypes). doctype.",
    "due_before_date": "An invoice is due before it was issued. due, date.",
    "duplicate": "Seller, number, date and total are those of another document. docnum, date, total, currency, other.",
    "does_not_add_up": "Subtotal and VAT miss the total. where, subtotal, vat, made, total, difference, currency.",
    "header_and_lines_differ": "The lines do not make the header's. field, stated, together, difference, currency.",
    "no_lines": "The document has no lines.",
    "no_mapping": "Codes without a row in their table. codes: the kind, code and setting of each.",
    "no_subtotal": "An amount without VAT is neither stated nor follows. where.",
    "seller_is_buyer": "Seller and buyer are the same company. company.",
    "kid": "The KID cannot be right; the rest of the document goes on. field, value.",
    "seller_without_id": "The seller has neither a registration code nor a VAT number nor an id.",
    "sign_of_credit_note": "A credit note whose total is positive. doctype, total.",
    "whose_document": "Neither party is known to be the company. company, buyer, seller: the name and code of each.",
    # Documents: document is what messages call the file.
    "document_given_twice": "document and documentBase64 are both given.",
    "document_not_base64": "documentBase64 is not base64. problem.",
    "document_not_allowed": "The file is not from where documents may come (documents_from). document.",
    "document_not_found": "The file does not exist. document.",
    "document_unreadable": "The file cannot be read. document, problem.",
    "document_empty": "The file is empty. document.",
    "document_too_large": "The file is larger than the service takes. document, most, service.",
    "document_changed": "The file changed while it was being sent. document.",
    "document_not_a_pdf": "A downloaded file is labelled as a PDF but is not one. document.",
    "document_moved_on": "The document was exported again while its file was being downloaded. document: its id.",
    "no_link": "The service sent no usable link to the document's file. document: its id.",
    # The service: service, call, status, and said, which is its own message (empty where it gave none).
    "service_refused": "The service refuses the call as it is. service, call, status, said.",
    "no_right": "The company has no right to the call. service, call, status, said.",
    "not_found": "The service, or its storage, does not have the object. service, call, status, said.",
    "link_expired": "The link to a file was too old. service, call, status, said.",
    "delivery_unknown": "It may have arrived: the answer of the service was lost. name, service, at, ledger, key.",
    "sent_with_another_key": "It was sent, or may have been, with another key to the same service. name, service, at, "
    "ledger, key: of its line; owner: this account, other: the one that sent it.",
    # target-vicai
    "missing_key": "The record has no key. fields: one of them is needed.",
    "key_not_addressable": "The key cannot be part of an address. field, value.",
    "not_one_of": "The field has a value that is not allowed. field, value, allowed.",
    "document_missing": "The record has no document, and it needs one.",
    "document_type": "The service does not take documents of this type. document, or stated: the type that was given.",
    "document_type_differs": "The document is not of the stated type. document, stated, found.",
    "document_type_unclear": "Neither name nor record tell which type of a family it is. document, found, suffixes.",
    "ambiguous_name": "Vic.ai has several records of that name. kind, name, count.",
    "ambiguous_vendor": "A document may name any of several vendors at Vic.ai. document, vendors: who each is.",
    "vendor_differs": "The vendor that a document names has another country or number there. document, vendors.",
    "vendor_without_external_id": "Vic.ai has the vendor, but without an id by which to name it. vendor.",
    "bank_account": "The account number cannot be right; the rest of the record was loaded. field, value.",
    "bank_change": "A change of bank details that waits for approval. vendor, changes: field, from, to.",
    "differs_at_vicai": "Vic.ai has it with another value, and offers no way to change that. field, theirs, "
    "ours; differences: these of each, if there are several.",
    "corrected_after_posting": "What is paid was corrected after the invoice was posted. status; differences: field, "
    "theirs and ours of each.",
    "moved_to_another_company": "Its document is another company's now, and it is still at Vic.ai. company: the other.",
    "no_longer_booked": "Its document is a sale now, or of a kind left out, and it is still at Vic.ai. doctype.",
    "older_export": "A later export of its document says that it is not booked here. company: the other; or doctype.",
    "changed_at_vicai": "It changed at Vic.ai after the record was set aside. changed, set_aside: times, UTC.",
    "not_changeable": "Vic.ai offers no way to change these fields. fields.",
    "not_deletable": "Vic.ai offers no way to delete records of this stream. stream.",
    "not_a_fraction": "A rate of a tax code is not a fraction: 25 % is 0.25. field, value.",
    "wrong_state": "The invoice has a status at Vic.ai in which this cannot be told. status.",
    "rejected_before": "The invoice was rejected for this before, and waits for the ERP again. status, at: when.",
    "line_given_twice": "Two lines of an order have one number, or one id. line.",
    "line_matched": "The line is matched to a posted invoice, and may not change. line, field (unless it is to go).",
    "order_matched": "A line of the order is matched to a posted invoice, so this may not change. field, theirs, ours.",
    "not_a_number_at_vicai": "An amount that Vic.ai shows is not a number. field, value.",
    # With apply_plan: stream and key are of the record.
    "not_in_plan": "The plan that was approved does not write this. stream, key.",
    "not_as_approved": "The record is not the one that was approved. stream, key.",
    "changed_since_plan": "Vic.ai's copy has changed since the plan was made. stream, key.",
    "partly_written": "Vic.ai refused a step after others were done. reasons: the code, params and reason of it.",
    "not_processed": "The order is written, but Vic.ai refused to process it. reasons: as of partly_written.",
    # target-ivesk
    "control_character": "The text contains a line break or another control character. field.",
    "comma_in_tag": "A tag contains a comma, which separates tags. field, value.",
    # target-warehouse
    "key_does_not_fit": "The value is part of the key, whose column holds another kind. field, value.",
    "too_many_fields": "The stream has too many fields that its SCHEMA does not declare. most.",
    "warehouse_refused": "The database refuses the record. said: its message.",
}
"""What each code means. A test compares them with what the code raises and with what `tap-rejects` can say."""
