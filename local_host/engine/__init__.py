"""What runs orchestrations: an engine in the memory of this process, or the Durable extension beside it."""
