"""A request's way to its picture: which units it consists of, and what each of them does on the device."""
