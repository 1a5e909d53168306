"""The job types that come with millstream, one file a type."""
