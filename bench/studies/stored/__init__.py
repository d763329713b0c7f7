"""What is stored already: brought together from several places, taken along, taken out of a study, deleted."""
