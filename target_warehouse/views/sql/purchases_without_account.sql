-- Which lines of purchases have no code?
--
-- A row for each line of a purchase of Įvesk without a code of an account or article; amounts in currency, credit notes negative.
--
-- needs purchase_lines
SELECT
  company, document_id, line_number, buyer_code, seller_code, seller_name, doc_number, issue_date, currency, name, vat_class, net, vat, total
FROM {views}.purchase_lines
WHERE code IS NULL
