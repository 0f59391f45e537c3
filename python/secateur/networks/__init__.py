"""Networks: the only wing that knows torch, and loads it only when asked to."""
