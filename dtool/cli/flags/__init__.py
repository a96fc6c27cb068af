"""Groups of options that several commands have, and how their values are read."""
