"""Training: batches, losses, optimizers and schedules, and the steps until validation queries are answered."""
