"""Maps and findings for people: text, SVG, HTML. Pure: data in, text out."""
