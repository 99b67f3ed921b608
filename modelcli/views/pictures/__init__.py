"""What every picture and page shares: one look, its text measured once, and how files are saved."""
