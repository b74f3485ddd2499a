"""What a process has by itself: its locks, its threads, what it shares with its forks, and when it ends."""
