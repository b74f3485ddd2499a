"""The panel in three rooms: `state` (what is so), `controller` (what happens), `view` (what is seen)."""
