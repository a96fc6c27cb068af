"""Seeded faults, and a runner that counts which of them the tests find."""
