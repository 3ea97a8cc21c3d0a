"""``python -m mailpost``: the command line."""

from mailpost.cli import main

if __name__ == "__main__":
    main()
