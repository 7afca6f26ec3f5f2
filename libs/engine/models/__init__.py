"""Models on disk and in memory: what there is, where it comes from, what it may be used for."""
