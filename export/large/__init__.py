"""`aiface-large`: the accurate model, in a distribution of its own."""
