-- Which invoices at Vic.ai have no PDF in the archive?
--
-- A row for each invoice without a file (documents_dir of tap-vicai is set), with the reason why. total is in currency, credit notes
-- negative.
--
-- reads vicai.invoice_documents: invoice_id, path?, error?
-- needs invoices
SELECT
  i.company, i.invoice_id, i.external_id, i.vendor_id, i.vendor_name, i.ref_number, i.kind, i.status, i.issue_date, i.currency, i.total,
  coalesce(d."error", 'no file is known') AS reason
FROM {views}.invoices AS i
LEFT JOIN {vicai.invoice_documents} AS d ON d.company = i.company AND d.invoice_id = i.invoice_id
WHERE d."path" IS NULL OR d."error" IS NOT NULL
