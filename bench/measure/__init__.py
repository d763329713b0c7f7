"""Speed and memory of trained nets, in a quiet phase after the runs."""
