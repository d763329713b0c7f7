"""What the doctor only says."""
