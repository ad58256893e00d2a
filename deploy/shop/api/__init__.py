"""The HTTP surface, by who may use it: readers, writers, and whoever controls the shop."""
