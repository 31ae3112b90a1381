"""The page on which digits are drawn, and its server."""
