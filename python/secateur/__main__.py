"""``python -m secateur``, which does what ``secateur`` does."""

from .cli import main

if __name__ == "__main__":
    main()
