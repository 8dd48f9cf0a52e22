"""Floor 4: `tap-ivesk`, digitised and exported documents of Įvesk, as a Singer tap."""
