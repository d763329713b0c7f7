"""What accuracy costs: parameters, arithmetic, time and memory."""
