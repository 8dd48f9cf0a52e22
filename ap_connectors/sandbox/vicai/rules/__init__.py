"""What single operations do beyond keeping records: one module per section of the service."""

from ap_connectors.sandbox.vicai import documents
from ap_connectors.sandbox.vicai.call import Handler
from ap_connectors.sandbox.vicai.rules import company, invoices, master_data, purchase_orders

HANDLERS: dict[str, Handler] = {
    **company.HANDLERS,
    **documents.HANDLERS,
    **invoices.HANDLERS,
    **master_data.HANDLERS,
    **purchase_orders.HANDLERS,
}
