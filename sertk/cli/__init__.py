"""The binaries, one a module, and what they share."""
