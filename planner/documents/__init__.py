"""JSON documents, each written and read beside each other."""
