"""One run on several processes: who is there, who waits for whom, and what each one holds."""
