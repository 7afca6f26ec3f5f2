"""One loop for each device: before every unit of work it decides whose runs next."""
