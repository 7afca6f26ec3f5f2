"""Real servers without Docker, each on a folder of its own; one module a server."""
