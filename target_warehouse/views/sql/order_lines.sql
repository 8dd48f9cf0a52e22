-- Does the order match what came and what was invoiced?
--
-- A row for each line of a purchase order: quantities ordered, received, accepted and invoiced (the last as Vic.ai has matched lines of
-- invoices to it), in the line's unit; amounts are quantity times the order's price, rounded to 2 decimals, in currency; ordered_amount
-- is the total of the line as the order states it. finding: ok, open, received and not invoiced, invoiced and not received, invoiced
-- more than ordered. Where invoices are matched by the order alone (two_way) receipts do not count.
--
-- reads vicai.purchase_orders: internalId, poNumber?, externalId?, vendor json?, currencyId?, status?, issuedOn date?
-- reads vicai.purchase_order_line_items: internalId, purchase_order_id, lineNumber integer?, productNumber?, productDescription?,
--   matchingType?, quantityRequested decimal, quantityReceived decimal?, quantityAccepted decimal?, unitAmount decimal?,
--   lineItemTotal decimal?, invoiceItemsMatched json?
WITH matches AS (
  SELECT l.company, l."internalId", l."invoiceItemsMatched" -> CAST(g.place AS INTEGER) AS item
  FROM {vicai.purchase_order_line_items} AS l
  CROSS JOIN LATERAL generate_series(
    0,
    CASE WHEN CAST(l."invoiceItemsMatched" AS VARCHAR) LIKE '[%'
      THEN CAST(json_array_length(l."invoiceItemsMatched") AS INTEGER) ELSE 0 END - 1
  ) AS g (place)
),
invoiced AS (
  SELECT company, "internalId", sum({decimal item ->> 'quantityMatched'}) AS quantity
  FROM matches
  GROUP BY company, "internalId"
),
quantities AS (
  SELECT
    o.company, o."internalId" AS order_id, o."poNumber" AS po_number, o."externalId" AS external_id,
    o."vendor" ->> 'internalId' AS vendor_id, o."vendor" ->> 'externalId' AS vendor_external_id, o."vendor" ->> 'name' AS vendor_name,
    lower(o."status") AS order_status, o."issuedOn" AS issued_on, o."currencyId" AS currency,
    l."internalId" AS order_line_id, l."lineNumber" AS line_number, l."productNumber" AS product_number,
    l."productDescription" AS product, replace(lower(l."matchingType"), '_', '') = 'twoway' AS by_order_alone,
    l."quantityRequested" AS ordered, coalesce(l."quantityReceived", 0) AS received, l."quantityAccepted" AS accepted,
    coalesce(m.quantity, 0) AS invoiced, l."unitAmount" AS unit_amount, l."lineItemTotal" AS ordered_amount
  FROM {vicai.purchase_order_line_items} AS l
  JOIN {vicai.purchase_orders} AS o ON o.company = l.company AND o."internalId" = l."purchase_order_id"
  LEFT JOIN invoiced AS m ON m.company = l.company AND m."internalId" = l."internalId"
)
SELECT
  company, order_id, po_number, external_id, vendor_id, vendor_external_id, vendor_name, order_status, issued_on, order_line_id,
  line_number, product_number, product, currency, unit_amount, ordered, received, accepted, invoiced, ordered_amount,
  round(received * unit_amount, 2) AS received_amount,
  round(invoiced * unit_amount, 2) AS invoiced_amount,
  CASE
    WHEN invoiced > ordered THEN 'invoiced more than ordered'
    WHEN NOT coalesce(by_order_alone, false) AND invoiced > received THEN 'invoiced and not received'
    WHEN NOT coalesce(by_order_alone, false) AND invoiced < received THEN 'received and not invoiced'
    WHEN invoiced < ordered THEN 'open'
    ELSE 'ok'
  END AS finding
FROM quantities
