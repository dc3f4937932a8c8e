"""Where memory and the doorbell go, and why not."""
