"""Hosting: what every service process has in common, whether it holds one service or all of them."""
