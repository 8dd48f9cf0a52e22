-- How much VAT is there, by code and month?
--
-- Sums of the lines of booked invoices at Vic.ai by VAT code, in currency: net is what the VAT is counted of. Credit notes are negative.
-- Vic.ai shows no rates of exchange, so nothing is converted.
--
-- needs invoice_lines
SELECT company, month, currency, vat_code, count(*) AS lines, sum(net) AS net, sum(vat) AS vat
FROM {views}.invoice_lines
WHERE booked
GROUP BY company, month, currency, vat_code
