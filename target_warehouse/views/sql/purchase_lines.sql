-- What is on the lines of purchases: code, object, VAT class?
--
-- A row for each line of a purchase of Įvesk. net, vat, total are in currency, and negative for credit notes. net_eur and vat_eur are these
-- divided by the document's rate, each rounded to 2 decimals; NULL for another currency without a rate.
--
-- reads ivesk.exported_document_lines: document_id, line_number integer, code?, name?, object?, warehouse?, quantity decimal?,
--   subtotal decimal?, vat decimal?, vatpercent decimal?, total decimal?, vatclass?
-- needs purchases
SELECT
  p.company, p.document_id, l."line_number" AS line_number, p.buyer_code, p.seller_code, p.seller_name, p.doc_number, p.issue_date, p.month,
  p.currency, p.rate, nullif(l."code", '') AS code, l."name" AS name, nullif(l."object", '') AS object, l."warehouse" AS warehouse,
  nullif(l."vatclass", '') AS vat_class, l."vatpercent" AS vat_percent, l."quantity" AS quantity,
  p.sign * l."subtotal" AS net,
  p.sign * l."vat" AS vat,
  p.sign * l."total" AS total,
  p.sign * {quotient l."subtotal" ; p.rate} AS net_eur,
  p.sign * {quotient l."vat" ; p.rate} AS vat_eur
FROM {ivesk.exported_document_lines} AS l
JOIN {views}.purchases AS p ON p.company = l.company AND p.document_id = l.document_id
