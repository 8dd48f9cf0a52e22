-- What do we owe whom today, by age?
--
-- A row for each vendor and currency, amounts in it: positive is owed, negative is owed to us. Days are those after the due date.
--
-- needs open_items
SELECT
  company,
  vendor_id,
  max(vendor_external_id) AS vendor_external_id,
  max(vendor_name) AS vendor_name,
  currency,
  count(*) AS items,
  sum(open_amount) AS open_amount,
  coalesce(sum(open_amount) FILTER (WHERE age = 'not due'), 0) AS not_due,
  coalesce(sum(open_amount) FILTER (WHERE age = '1-30'), 0) AS days_1_30,
  coalesce(sum(open_amount) FILTER (WHERE age = '31-60'), 0) AS days_31_60,
  coalesce(sum(open_amount) FILTER (WHERE age = '61-90'), 0) AS days_61_90,
  coalesce(sum(open_amount) FILTER (WHERE age = 'over 90'), 0) AS over_90,
  coalesce(sum(open_amount) FILTER (WHERE age = 'no due date'), 0) AS no_due_date,
  min(due_date) AS oldest_due_date
FROM {views}.open_items
GROUP BY company, vendor_id, currency
