"""`python -m mirror_sync`: the same as the program `mirror-sync`."""

from mirror_sync.cli import main

if __name__ == "__main__":
    main()
