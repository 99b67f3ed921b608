"""Campaigns against the command line: hostile words, hostile files, kills. Linux only."""
