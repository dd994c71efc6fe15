"""The engine: what is searched, remembered and run. Nothing here draws on a screen."""
