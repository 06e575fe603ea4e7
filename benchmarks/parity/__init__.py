"""Every method against the library, or the paper's naive twin, that people trust for it."""
