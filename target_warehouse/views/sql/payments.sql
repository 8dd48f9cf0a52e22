-- What was really paid, and for which invoice?
--
-- A row for each payment and each credit of a batch. state: paid (the money was there, or the ERP has booked it), pending, rejected,
-- voided, failed. amount is in currency; that of a credit, which is set off, is negative, so that the sum is what leaves the bank.
-- discount is what was taken for paying early, as Vic.ai states it; it is in no sum. Days are those of UTC.
--
-- reads vicai.payments: id, batch_id, amount decimal, currencyId, status?, fundedAt moment, voidedAt moment, rejectedAt moment,
--   failedAt moment?, confirmedAt moment?, approvedAt moment?, invoice json, vendor json?, settlementAmount decimal?,
--   settlementCurrencyId?, discountAmount decimal?, remoteId?, remoteError?
-- reads vicai.credits: id, batch_id, amount decimal, currencyId, status?, fundedAt moment, voidedAt moment, rejectedAt moment,
--   failedAt moment?, confirmedAt moment?, approvedAt moment?, invoice json, vendor json?, settlementAmount decimal?,
--   settlementCurrencyId?, remoteId?, remoteError?
-- needs invoices
WITH parts AS (
  SELECT
    company, 'payment' AS kind, 1 AS sign, "id", "batch_id", "amount", "currencyId", "status", "fundedAt", "voidedAt", "rejectedAt",
    "failedAt", "confirmedAt", "approvedAt", "invoice", "vendor", "settlementAmount", "settlementCurrencyId", "discountAmount",
    "remoteId", "remoteError"
  FROM {vicai.payments} AS p
  UNION ALL
  SELECT
    company, 'credit' AS kind, -1 AS sign, "id", "batch_id", "amount", "currencyId", "status", "fundedAt", "voidedAt", "rejectedAt",
    "failedAt", "confirmedAt", "approvedAt", "invoice", "vendor", "settlementAmount", "settlementCurrencyId", NULL,
    "remoteId", "remoteError"
  FROM {vicai.credits} AS c
)
SELECT
  p.company,
  p."id" AS payment_id,
  p."batch_id" AS batch_id,
  p.kind,
  CASE
    WHEN p."voidedAt" IS NOT NULL OR lower(p."status") = 'voided' THEN 'voided'
    WHEN p."rejectedAt" IS NOT NULL OR lower(p."status") = 'rejected' THEN 'rejected'
    WHEN p."failedAt" IS NOT NULL OR lower(p."status") = 'failed' THEN 'failed'
    WHEN p."fundedAt" IS NOT NULL OR p."confirmedAt" IS NOT NULL THEN 'paid'
    ELSE 'pending'
  END AS state,
  CAST(coalesce(p."fundedAt", p."confirmedAt") AS DATE) AS paid_on,
  CAST(p."confirmedAt" AS DATE) AS confirmed_on,
  p."invoice" ->> 'internalId' AS invoice_id,
  i.ref_number,
  coalesce(i.vendor_id, p."vendor" ->> 'internalId') AS vendor_id,
  coalesce(i.vendor_external_id, p."vendor" ->> 'externalId') AS vendor_external_id,
  i.vendor_name,
  p."currencyId" AS currency,
  p.sign * abs(p."amount") AS amount,
  p."settlementCurrencyId" AS settlement_currency,
  p.sign * abs(p."settlementAmount") AS settlement_amount,
  p."discountAmount" AS discount,
  i.total AS invoice_total,
  p."remoteId" AS erp_id,
  p."remoteError" AS erp_error
FROM parts AS p
LEFT JOIN {views}.invoices AS i ON i.company = p.company AND i.invoice_id = (p."invoice" ->> 'internalId')
