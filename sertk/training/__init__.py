"""The training engine: loop, step, heads, targets, schedule, distributed training; it knows no folders."""
