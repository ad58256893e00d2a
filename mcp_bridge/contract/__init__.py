"""What the door offers, frozen: agents that were built against it go on working, or somebody decided otherwise."""
