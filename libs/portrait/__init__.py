"""What is seen in a photograph of a person, without weights or keys: arrays in, values and arrays out."""
