"""Floor 2: what Įvesk (Virtualus Apskaitininkas) is: its contract, its queues, its client. Knows no Singer."""
