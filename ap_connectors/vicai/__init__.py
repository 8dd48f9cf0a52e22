"""Floor 2: what Vic.ai is: its contract, its tokens, its pages, its client. Knows no Singer."""
