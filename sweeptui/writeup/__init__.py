"""A sweep written up for those who were not there: one HTML page, or Markdown for a pull request."""
