"""Written files: YAML with places, field tables, values and words."""
