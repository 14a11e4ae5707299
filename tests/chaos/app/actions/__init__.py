"""Actions of every kind; each handler writes down when it begins and when it has ended."""
