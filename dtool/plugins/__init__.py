"""The door: hooks, the loader and the registry, through which built-ins and other packages enter alike."""
