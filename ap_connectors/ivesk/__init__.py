"""Floor 3: the Įvesk (Virtualus Apskaitininkas) client: contract, queues, files, uploads. Knows nothing of Singer."""
