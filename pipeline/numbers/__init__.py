"""Says how numbers are written, and how far an estimate may lie from what it estimates."""
