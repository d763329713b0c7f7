"""What was trained, used: loaded, exported, shown pictures, served."""
