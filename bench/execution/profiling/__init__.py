"""Speed, latency and memory, in a quiet phase after all training."""
