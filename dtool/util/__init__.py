"""What every room may need: files, options, text, limits of reading. Nothing here knows what diffusion is."""
