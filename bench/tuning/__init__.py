"""Fair tuning: one search space, the same number of trials and the same ceiling of images for every architecture."""
