"""One check a module: guest map against hosts, in findings. Pure, and never raising."""
