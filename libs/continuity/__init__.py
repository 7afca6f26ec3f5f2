"""Continuity: photographs and shot lists become film keyframes that keep continuity."""

__version__ = "0.1.0"
