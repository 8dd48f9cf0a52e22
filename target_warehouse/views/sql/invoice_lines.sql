-- What is on the lines: account, VAT code, dimensions?
--
-- A row for each line of an invoice of Vic.ai, ungrouped. net and vat are in currency, and negative for credit notes. Needs the
-- stream invoice_line_items: lineItems of invoices are grouped, and DuckDB would make doubles of their amounts. month is the first day
-- of that of the ledger date, else of the date of issue.
--
-- reads vicai.invoice_line_items: invoice_id, index integer, description?, costAccountExternalId?, costAccount json?,
--   amount|amountNet decimal, amountTax|amountVat decimal?, vat json?, invoiceLineItemInfo json?, taxCode json?,
--   dimensions json?, quantityInvoiced decimal?, unitPrice decimal?, poItemsMatched json?, poReceiptLinesMatched json?
-- needs invoices
SELECT
  l.company,
  l.invoice_id,
  l."index" AS line_index,
  i.vendor_id,
  i.vendor_external_id,
  i.vendor_name,
  i.ref_number,
  i.kind,
  i.status,
  i.booked,
  coalesce(i.gl_date, i.issue_date) AS ledger_date,
  CAST(date_trunc('month', CAST(coalesce(i.gl_date, i.issue_date) AS TIMESTAMP)) AS DATE) AS month,
  i.currency,
  l."description" AS description,
  coalesce(
    nullif(l."costAccountExternalId", ''),
    nullif(l."costAccount" ->> 'externalId', ''),
    nullif(l."costAccount" ->> 'number', '')
  ) AS account,
  coalesce(
    nullif(l."invoiceLineItemInfo" ->> 'vatCode', ''),
    nullif(l."vat" ->> 'code', ''),
    nullif(l."vat" ->> 'externalId', ''),
    nullif(l."taxCode" ->> 'code', '')
  ) AS vat_code,
  i.sign * l."amount" AS net,
  i.sign * coalesce(
    l."amountTax",
    {decimal l."vat" ->> 'amount'},
    -- A number inside JSON is taken from the text of it, for its digits.
    {decimal nullif(regexp_replace(CAST(l."invoiceLineItemInfo" AS VARCHAR),
      '^.*"vatAmount" *: *"?([-+0-9.eE]+)([^-+0-9.eE].*)?$', '\1'), CAST(l."invoiceLineItemInfo" AS VARCHAR))}
  ) AS vat,
  l."quantityInvoiced" AS quantity,
  l."unitPrice" AS unit_price,
  l."dimensions" AS dimensions,
  CASE WHEN CAST(l."poItemsMatched" AS VARCHAR) LIKE '[_%_]' THEN l."poItemsMatched" ELSE l."poReceiptLinesMatched" END
    AS order_lines
FROM {vicai.invoice_line_items} AS l
JOIN {views}.invoices AS i ON i.company = l.company AND i.invoice_id = l.invoice_id
