"""Prompts built from shots."""
