"""What the scripts at the top stand on; the files here are about being a program at all."""
