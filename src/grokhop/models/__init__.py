"""The architectures, their names, their weights on disk, and Hugging Face forms."""
