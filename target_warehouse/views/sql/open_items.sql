-- What is open today, and how old is it?
--
-- A row for each invoice or credit note that is not settled. open_amount is in currency: positive is owed, negative is owed to us.
-- days_overdue counts from the due date to today; age: not due, 1-30, 31-60, 61-90, over 90, no due date. For the end of a month see
-- open_at_month_end.
--
-- needs ledger
WITH items AS (
  SELECT
    company, invoice_id, currency, max(ref_number) AS ref_number, max(vendor_id) AS vendor_id,
    max(vendor_external_id) AS vendor_external_id, max(vendor_name) AS vendor_name, max(due_date) AS due_date,
    min(day) AS ledger_date,
    coalesce(sum(amount) FILTER (WHERE entry IN ('invoice', 'credit note')), 0) AS total,
    coalesce(sum(amount) FILTER (WHERE entry NOT IN ('invoice', 'credit note')), 0) AS settled,
    sum(amount) AS open_amount
  FROM {views}.ledger
  GROUP BY company, invoice_id, currency
)
SELECT
  items.*,
  current_date - due_date AS days_overdue,
  CASE
    WHEN due_date IS NULL THEN 'no due date'
    WHEN current_date - due_date <= 0 THEN 'not due'
    WHEN current_date - due_date <= 30 THEN '1-30'
    WHEN current_date - due_date <= 60 THEN '31-60'
    WHEN current_date - due_date <= 90 THEN '61-90'
    ELSE 'over 90'
  END AS age
FROM items
WHERE open_amount <> 0
