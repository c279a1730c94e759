"""Docker and the container: images from Dockerfiles, entry points as processes."""
