"""What a finished or running sweep tells: the best configurations, and the JSON shapes of the command line."""
