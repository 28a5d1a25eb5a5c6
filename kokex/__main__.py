"""`python -m kokex` is the command `kokex`."""

from kokex.cli import main

if __name__ == "__main__":
    main()
