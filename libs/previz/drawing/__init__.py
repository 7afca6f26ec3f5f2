"""Pixels: what a layout's camera sees. All pictures are RGB or RGBA, uint8, unless a docstring says otherwise."""
