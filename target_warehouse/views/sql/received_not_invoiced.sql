-- What has come and is not invoiced, today and at the end of a month?
--
-- A row for each line of an order whose receipts up to the day are more than booked invoices up to it; day is today and the last day of
-- each of the last 60 months: say which, "WHERE day = DATE '2026-01-31'". quantity is in the line's unit; amount is that times the
-- order's price, rounded to 2 decimals, in currency. Receipts without a day (see order_events) count from the date of the order on.
--
-- needs order_lines, order_events
WITH days AS (
  SELECT current_date AS day
  UNION ALL
  SELECT CAST(date_trunc('month', CAST(current_date AS TIMESTAMP)) - CAST(g.place AS INTEGER) * INTERVAL '1 month' AS DATE) - 1
  FROM generate_series(0, 59) AS g (place)
),
sums AS (
  SELECT
    d.day, e.company, e.order_line_id,
    coalesce(sum(e.quantity) FILTER (WHERE e.entry LIKE 'receipt%'), 0) AS received,
    coalesce(sum(e.quantity) FILTER (WHERE e.entry NOT LIKE 'receipt%'), 0) AS invoiced
  FROM days AS d
  JOIN {views}.order_events AS e ON e.day <= d.day OR e.day IS NULL
  GROUP BY d.day, e.company, e.order_line_id
)
SELECT
  o.company, s.day, o.order_id, o.po_number, o.vendor_id, o.vendor_external_id, o.vendor_name, o.order_line_id, o.line_number, o.product,
  o.currency, s.received, s.invoiced, s.received - s.invoiced AS quantity, o.unit_amount,
  round((s.received - s.invoiced) * o.unit_amount, 2) AS amount
FROM sums AS s
JOIN {views}.order_lines AS o ON o.company = s.company AND o.order_line_id = s.order_line_id
WHERE s.received > s.invoiced AND (o.issued_on <= s.day OR o.issued_on IS NULL)
