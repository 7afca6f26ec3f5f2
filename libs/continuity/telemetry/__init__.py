"""Traces, metrics and logs: every name in one place, W3C propagation, OTLP export when it is asked for."""
