-- Which purchases have no PDF in the archive?
--
-- A row for each purchase of Įvesk without a file (documents_dir of tap-ivesk is set), with the reason why. total is in currency.
--
-- reads ivesk.document_files: document_id, path?, error?
-- needs purchases
SELECT
  p.company, p.document_id, p.buyer_code, p.seller_code, p.seller_name, p.doc_number, p.doctype, p.issue_date, p.currency, p.total,
  coalesce(f."error", 'no file is known') AS reason
FROM {views}.purchases AS p
LEFT JOIN {ivesk.document_files} AS f ON f.company = p.company AND f.document_id = p.document_id
WHERE f."path" IS NULL OR f."error" IS NOT NULL
