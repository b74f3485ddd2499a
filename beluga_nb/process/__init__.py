"""Locks, threads, forks and the end of a process."""
