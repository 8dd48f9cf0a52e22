-- When did goods come, and when were they invoiced?
--
-- A row for each receipt (receiptLines of an order's line, on the day of the receipt), and for each line of a booked invoice that is
-- matched to a line of an order (on the invoice's ledger date, else its date of issue); quantity in the line's unit, negative for credit
-- notes. What an order says to be received beyond its receipts has no day: the entry is "receipt without a day".
--
-- reads vicai.purchase_order_line_items: internalId, purchase_order_id, quantityReceived decimal?, receiptLines json?
-- needs invoice_lines
WITH receipts AS (
  SELECT l.company, l."internalId", l."receiptLines" -> CAST(g.place AS INTEGER) AS receipt
  FROM {vicai.purchase_order_line_items} AS l
  CROSS JOIN LATERAL generate_series(
    0,
    CASE WHEN CAST(l."receiptLines" AS VARCHAR) LIKE '[%'
      THEN CAST(json_array_length(l."receiptLines") AS INTEGER) ELSE 0 END - 1
  ) AS g (place)
),
received AS (
  SELECT
    company, "internalId", {date receipt ->> 'receivedDate'} AS day, {decimal receipt ->> 'receivedQuantity'} AS quantity
  FROM receipts
),
matches AS (
  SELECT i.*, i.order_lines -> CAST(g.place AS INTEGER) AS item
  FROM {views}.invoice_lines AS i
  CROSS JOIN LATERAL generate_series(
    0,
    CASE WHEN CAST(i.order_lines AS VARCHAR) LIKE '[%' THEN CAST(json_array_length(i.order_lines) AS INTEGER) ELSE 0 END - 1
  ) AS g (place)
  WHERE i.booked
)
SELECT company, "internalId" AS order_line_id, 'receipt' AS entry, day, quantity, NULL AS invoice_id FROM received
UNION ALL
SELECT l.company, l."internalId", 'receipt without a day', NULL, l."quantityReceived" - coalesce(r.quantity, 0), NULL
FROM {vicai.purchase_order_line_items} AS l
LEFT JOIN (SELECT company, "internalId", sum(quantity) AS quantity FROM received GROUP BY company, "internalId") AS r
  ON r.company = l.company AND r."internalId" = l."internalId"
WHERE l."quantityReceived" > coalesce(r.quantity, 0)
UNION ALL
SELECT
  company, item ->> 'purchaseOrderItemId', kind, ledger_date,
  CASE kind WHEN 'credit note' THEN -1 ELSE 1 END * abs({decimal item ->> 'quantityMatched'}), invoice_id
FROM matches
