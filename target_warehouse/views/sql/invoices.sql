-- What has been invoiced, with credit notes as minus?
--
-- A row for each invoice of Vic.ai, in each state that was read. net, vat, total are in currency; those of a credit note are
-- negative (sign is -1). booked: it is posted or transferred. paid_by_erp: what the ERP says it has paid itself
-- (externalPaymentTotalPaid), negative for a credit note; all of it where the ERP says paid without an amount in this currency.
--
-- reads vicai.invoices: internalId, externalId?, vendorInternalId?, vendorExternalId?, vendor json?, refNumber?, poNumber?,
--   transactionType, status?, issueDate date?, glDate date?, dueDate date?, currency, amountWithoutTax|amountNet decimal?,
--   amountTax|amountVat decimal?, totalAmount|amountSum decimal, externalPaymentStatus?, externalPaymentDate date?,
--   externalPaymentCurrencyId?, externalPaymentTotalPaid decimal?
-- reads vicai.vendors?: internalId, name?
WITH signed AS (
  SELECT i.*,
    CASE WHEN replace(upper(i."transactionType"), '_', '') = 'CREDITNOTE' THEN 'credit note' ELSE 'invoice' END AS kind,
    CASE WHEN replace(upper(i."transactionType"), '_', '') = 'CREDITNOTE' AND coalesce(i."totalAmount", 0) >= 0
      THEN -1 ELSE 1 END AS sign,
    coalesce(nullif(i."externalPaymentCurrencyId", ''), i."currency") = i."currency" AS same_currency
  FROM {vicai.invoices} AS i
)
SELECT
  company,
  "internalId" AS invoice_id,
  "externalId" AS external_id,
  coalesce("vendorInternalId", "vendor" ->> 'internalId') AS vendor_id,
  coalesce("vendorExternalId", "vendor" ->> 'externalId') AS vendor_external_id,
  coalesce("vendor" ->> 'name', (
    SELECT v."name" FROM {vicai.vendors} AS v
    WHERE v."internalId" = coalesce(signed."vendorInternalId", signed."vendor" ->> 'internalId')
      AND v.company IS NOT DISTINCT FROM signed.company
  )) AS vendor_name,
  "refNumber" AS ref_number,
  "poNumber" AS po_number,
  kind,
  coalesce(upper("status"), 'POSTED') AS status,
  coalesce(upper("status"), 'POSTED') IN ('POSTED', 'TRANSFERRED') AS booked,
  "issueDate" AS issue_date,
  "glDate" AS gl_date,
  "dueDate" AS due_date,
  "currency" AS currency,
  sign,
  sign * "amountWithoutTax" AS net,
  sign * "amountTax" AS vat,
  sign * "totalAmount" AS total,
  CASE
    WHEN lower("externalPaymentStatus") = 'voided' THEN 0
    WHEN "externalPaymentTotalPaid" IS NOT NULL AND same_currency
      THEN CASE WHEN sign * "totalAmount" < 0 THEN -1 ELSE 1 END * abs("externalPaymentTotalPaid")
    WHEN lower("externalPaymentStatus") = 'paid' THEN sign * "totalAmount"
    ELSE 0
  END AS paid_by_erp,
  "externalPaymentDate" AS paid_by_erp_on
FROM signed
