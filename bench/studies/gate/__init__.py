"""Did a change make a net worse? Checks against recorded references."""
