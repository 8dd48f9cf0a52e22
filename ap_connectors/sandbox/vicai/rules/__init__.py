"""What single operations do beyond keeping records: one module per section of the service."""

from ap_connectors.sandbox.vicai import documents
from ap_connectors.sandbox.vicai.asked import Handler
from ap_connectors.sandbox.vicai.rules import (
    access,
    attachments,
    invoices,
    master_data,
    purchase_orders,
    subscription,
    training,
)

HANDLERS: dict[str, Handler] = {
    **access.HANDLERS,
    **documents.HANDLERS,
    **invoices.HANDLERS,
    **master_data.HANDLERS,
    **purchase_orders.HANDLERS,
    **training.HANDLERS,
    **subscription.HANDLERS,
    **attachments.HANDLERS,
}
