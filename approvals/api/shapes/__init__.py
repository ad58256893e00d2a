"""What goes in and what comes out, subject by subject."""
