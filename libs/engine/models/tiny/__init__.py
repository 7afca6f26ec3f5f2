"""Small models of random weights in the formats that the published ones have: everything but a good picture."""
