"""What stands between the outside and the house: photographs, addresses, tokens."""
