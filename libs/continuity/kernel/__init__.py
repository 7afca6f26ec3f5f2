"""Ids, clock and errors: what everything else may import, on the standard library alone."""
