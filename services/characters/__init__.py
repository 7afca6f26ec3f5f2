"""Characters made from photographs, and locations."""
