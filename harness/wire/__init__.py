"""The wire stage."""
