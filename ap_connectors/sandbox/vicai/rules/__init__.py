"""What single operations do beyond keeping records: one module per section of the service."""

from ap_connectors.sandbox.vicai import documents
from ap_connectors.sandbox.vicai.call import Handler
from ap_connectors.sandbox.vicai.rules import (
    attached,
    companies,
    events,
    invoices,
    master_data,
    payments,
    purchase_orders,
)

HANDLERS: dict[str, Handler] = {
    **attached.HANDLERS,
    **companies.HANDLERS,
    **documents.HANDLERS,
    **events.HANDLERS,
    **invoices.HANDLERS,
    **master_data.HANDLERS,
    **payments.HANDLERS,
    **purchase_orders.HANDLERS,
}
