"""`tap-ivesk`, measured beside the alternatives."""
