-- What was open at the end of a month, and how old was it?
--
-- As open_items, for the last day of each of the last 60 months: say which, "WHERE day = DATE '2026-01-31'". What counts is what is known
-- today of that day: its entries of the ledger up to it. days_overdue and age are as of that day.
--
-- needs ledger
WITH days AS (
  SELECT CAST(date_trunc('month', CAST(current_date AS TIMESTAMP)) - CAST(g.place AS INTEGER) * INTERVAL '1 month' AS DATE) - 1 AS day
  FROM generate_series(0, 59) AS g (place)
),
items AS (
  SELECT
    l.company, d.day, l.invoice_id, l.currency, max(l.ref_number) AS ref_number, max(l.vendor_id) AS vendor_id,
    max(l.vendor_external_id) AS vendor_external_id, max(l.vendor_name) AS vendor_name, max(l.due_date) AS due_date,
    sum(l.amount) AS open_amount
  FROM days AS d
  JOIN {views}.ledger AS l ON l.day <= d.day
  GROUP BY d.day, l.company, l.invoice_id, l.currency
)
SELECT
  items.*,
  day - due_date AS days_overdue,
  CASE
    WHEN due_date IS NULL THEN 'no due date'
    WHEN day - due_date <= 0 THEN 'not due'
    WHEN day - due_date <= 30 THEN '1-30'
    WHEN day - due_date <= 60 THEN '31-60'
    WHEN day - due_date <= 90 THEN '61-90'
    ELSE 'over 90'
  END AS age
FROM items
WHERE open_amount <> 0
