"""Layout files: YAML text with positions, the table of fields, the Layout they make."""
