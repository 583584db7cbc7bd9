"""`python -m harness.cli` is `lockrace`."""

from harness.cli import main

if __name__ == "__main__":
    main()
