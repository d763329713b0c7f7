"""What nets get wrong."""
