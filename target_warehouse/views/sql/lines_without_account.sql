-- Which lines have no account?
--
-- A row for each line of an invoice at Vic.ai that no account is charged with; net and vat in currency, credit notes negative.
--
-- needs invoice_lines
SELECT
  company, invoice_id, line_index, vendor_id, vendor_name, ref_number, status, booked, ledger_date, currency, description, net, vat
FROM {views}.invoice_lines
WHERE account IS NULL
