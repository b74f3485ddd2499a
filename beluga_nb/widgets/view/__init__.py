"""What is seen: widgets and links, part by part. It decides nothing, and makes nobody's text HTML."""
