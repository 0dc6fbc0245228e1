"""`python -m updater` is the `updater` command."""

from updater.cli import main

if __name__ == "__main__":
    main(prog_name="updater")
