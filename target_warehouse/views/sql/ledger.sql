-- What makes up what we owe to whom, entry by entry?
--
-- A row for each booked invoice and credit note (on its ledger date, else its date of issue), each payment that was really made, each
-- credit that was set off, and what the ERP says it has paid itself. amount is in currency: what is owed is positive, what is paid
-- negative; a credit note is negative, and set off it comes back, as payments state their amount before that. The sum up to a day is what
-- was owed then: add "WHERE day <= DATE '2026-01-31'". A payment that was voided later never counts.
--
-- needs invoices, payments
SELECT
  company, kind AS entry, coalesce(gl_date, issue_date) AS day, invoice_id, ref_number, vendor_id, vendor_external_id, vendor_name,
  due_date, currency, total AS amount
FROM {views}.invoices
WHERE booked
UNION ALL
SELECT
  company, 'paid by the ERP', coalesce(paid_by_erp_on, gl_date, issue_date), invoice_id, ref_number, vendor_id, vendor_external_id,
  vendor_name, due_date, currency, -paid_by_erp
FROM {views}.invoices
WHERE booked AND paid_by_erp <> 0
UNION ALL
SELECT
  p.company, CASE p.kind WHEN 'credit' THEN 'credit set off' ELSE p.kind END, p.paid_on, p.invoice_id, p.ref_number, p.vendor_id,
  p.vendor_external_id, p.vendor_name, i.due_date, p.currency, -p.amount
FROM {views}.payments AS p
LEFT JOIN {views}.invoices AS i ON i.company = p.company AND i.invoice_id = p.invoice_id
WHERE p.state = 'paid'
