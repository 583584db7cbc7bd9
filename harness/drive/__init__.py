"""The drive stage."""
