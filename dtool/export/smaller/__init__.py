"""Smaller networks: half precision, eight bits, and what is lost by them."""
