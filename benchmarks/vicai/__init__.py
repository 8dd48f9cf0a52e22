"""`tap-vicai`, measured beside the alternatives."""
