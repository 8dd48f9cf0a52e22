"""`target-vicai`, measured beside the alternatives."""
