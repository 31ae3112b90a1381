"""What the scripts at the top stand on. Nothing in here imports a script."""
