"""Floor 4: `tap-rejects`, what Vic.ai refused of ivesk's documents, in an accountant's words, as a Singer tap."""
