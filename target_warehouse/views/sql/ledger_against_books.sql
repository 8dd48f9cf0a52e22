-- Does what we owe at Vic.ai agree with the books of the ERP?
--
-- A row for each vendor, period of the SAF-T files and currency: owed_vic is the sum of Vic.ai's ledger up to the end of the period, owed_books
-- the supplier's balance; difference is Vic.ai's less the books'. The books are in one currency: what Vic.ai has in others stands in
-- rows of its own, without a balance, as nothing tells the rate. Vendors are those whose external id at Vic.ai is the supplier's id.
--
-- needs ledger, supplier_balances
WITH periods AS (
  SELECT DISTINCT company, company_id, period_start, period_end, day FROM {views}.supplier_balances
),
ours AS (
  SELECT
    p.company, p.company_id, p.period_start, p.period_end, p.day, l.vendor_external_id, l.currency, max(l.vendor_name) AS vendor_name,
    sum(l.amount) AS owed
  FROM periods AS p
  JOIN {views}.ledger AS l ON l.company = p.company AND l.day <= p.day
  GROUP BY p.company, p.company_id, p.period_start, p.period_end, p.day, l.vendor_external_id, l.currency
)
SELECT
  coalesce(o.company, b.company) AS company,
  coalesce(o.company_id, b.company_id) AS company_id,
  coalesce(o.period_start, b.period_start) AS period_start,
  coalesce(o.period_end, b.period_end) AS period_end,
  coalesce(o.day, b.day) AS day,
  coalesce(o.vendor_external_id, b.supplier_id) AS vendor_external_id,
  coalesce(o.vendor_name, b.supplier_name) AS vendor_name,
  coalesce(o.currency, b.currency) AS currency,
  o.owed AS owed_vic,
  b.owed AS owed_books,
  CASE WHEN b.owed IS NOT NULL OR o.currency = (
    SELECT max(c.currency) FROM {views}.supplier_balances AS c WHERE c.company = o.company AND c.company_id = o.company_id
  ) THEN coalesce(o.owed, 0) - coalesce(b.owed, 0) END AS difference
FROM ours AS o
FULL JOIN {views}.supplier_balances AS b ON b.company = o.company AND b.company_id = o.company_id AND b.period_start = o.period_start
  AND b.period_end = o.period_end AND b.supplier_id = o.vendor_external_id AND b.currency = o.currency
