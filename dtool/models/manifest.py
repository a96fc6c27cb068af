"""What the manifest of an exported pipeline's folder is called, and the format that it names."""

from __future__ import annotations

MANIFEST = "manifest.json"
FORMAT = "dtool pipeline 1"
