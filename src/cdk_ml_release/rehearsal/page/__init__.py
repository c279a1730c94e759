"""The page that tells the story of a rehearsal to a person who has never seen the project: one file, no script."""
