"""How a network's call is run: as torch runs it, or compiled and captured once for each shape."""
