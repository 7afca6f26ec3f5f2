"""Characters cut out of their backgrounds."""
