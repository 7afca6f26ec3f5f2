"""Faults while films are rendered, and a checker that reads the stores and topics, not the services."""
