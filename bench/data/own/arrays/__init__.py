"""Arrays as people give them: channels first or last, bytes or floats, labels of any kind become images in classes."""
