"""`make bench`: how fast the door is, as ratios to what the same machine can do at best in the same run."""
