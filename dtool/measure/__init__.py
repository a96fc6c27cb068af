"""Statistics that several rooms need: Fréchet distances, bootstrap, half-sampling, timing, the machine."""
