"""Floor 4: `mapper-ivesk-vicai`, documents of Įvesk as vendors and invoices for Vic.ai."""
