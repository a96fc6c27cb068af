"""What opens other people's networks: one format a file. `@dtool.reader` makes a reader out of a function."""
