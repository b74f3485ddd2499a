"""What is seen while a call is waited for: progress, frames for pictures, and Stop in two lines."""
