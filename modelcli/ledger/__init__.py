"""What follows from a ledger of memory: peaks, the allocator, other batches, the verdict."""
