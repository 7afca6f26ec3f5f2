"""What is seen in the photographs of characters."""
