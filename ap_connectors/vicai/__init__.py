"""Floor 3: the Vic.ai client: contract, tokens, pages, uploads. Knows nothing of Singer."""
