"""How results are shown. Reads stored records through bench; never trains, never imports torch."""
