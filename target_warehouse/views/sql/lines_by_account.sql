-- What was booked on which account, by month and VAT code?
--
-- Sums of the lines of booked invoices, in currency; credit notes are negative. account is the ERP's id of it.
--
-- needs invoice_lines
SELECT company, month, currency, account, vat_code, count(*) AS lines, sum(net) AS net, sum(vat) AS vat
FROM {views}.invoice_lines
WHERE booked
GROUP BY company, month, currency, account, vat_code
