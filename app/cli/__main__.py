"""`python -m app.cli`: what the supervisor starts its processes with."""

from app.cli import main

if __name__ == "__main__":
    main()
