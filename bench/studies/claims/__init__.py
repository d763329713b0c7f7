"""What somebody claims of nets, run again and judged."""
