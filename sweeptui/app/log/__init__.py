"""The log pane: a viewport over a log file of any size, with search and filter."""
