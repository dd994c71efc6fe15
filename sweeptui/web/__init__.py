"""The cockpit in a browser: textual-serve's protocol and page scripts, behind doors of our own."""
